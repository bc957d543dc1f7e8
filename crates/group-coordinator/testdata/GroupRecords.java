import java.util.HexFormat;
import java.util.List;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.coordinator.group.generated.*;

/**
 * Writes records of __consumer_offsets with Kafka's own serialisers, one a line: name, key, value (hex; "-" is a
 * tombstone), separated by tabs.
 *
 * javac -cp 'LIBS/*' GroupRecords.java && java -cp 'LIBS/*:.' GroupRecords > records.tsv
 * with LIBS the jars of Kafka 4.4.0.
 */
public class GroupRecords {
    static final Uuid TOPIC = new Uuid(0x0123456789abcdefL, 0x0fedcba987654321L);
    static final Uuid OTHER = new Uuid(0x1111111111111111L, 0x2222222222222222L);

    static String hex(Message message, int version, short prefix) {
        byte[] bytes = MessageUtil.toVersionPrefixedBytes((short) version, message);
        bytes[0] = (byte) (prefix >> 8);
        bytes[1] = (byte) prefix;
        return HexFormat.of().formatHex(bytes);
    }

    static void record(String name, ApiMessage key, Message value, int version) {
        String written = value == null ? "-" : hex(value, version, (short) version);
        System.out.println(name + "\t" + hex(key, 0, key.apiKey()) + "\t" + written);
    }

    static OffsetCommitKey offset() {
        return new OffsetCommitKey().setGroup("group").setTopic("topic").setPartition(7);
    }

    static OffsetCommitValue committed() {
        return new OffsetCommitValue().setOffset(12345678901L).setLeaderEpoch(5).setMetadata("métadonnées")
            .setCommitTimestamp(1700000000123L);
    }

    static GroupMetadataValue group(boolean instance) {
        var first = new GroupMetadataValue.MemberMetadata().setMemberId("m-1").setClientId("client").setClientHost("/127.0.0.1")
            .setRebalanceTimeout(60000).setSessionTimeout(45000).setSubscription(new byte[] {0, 1, 2}).setAssignment(new byte[] {9});
        var second = new GroupMetadataValue.MemberMetadata().setMemberId("m-2").setClientId("").setClientHost("/::1")
            .setRebalanceTimeout(1).setSessionTimeout(2).setSubscription(new byte[0]).setAssignment(new byte[0]);
        if (instance) second.setGroupInstanceId("instance");
        return new GroupMetadataValue().setProtocolType("consumer").setGeneration(3).setProtocol("range").setLeader("m-1")
            .setCurrentStateTimestamp(1700000000456L).setMembers(List.of(first, second));
    }

    public static void main(String[] args) {
        record("OffsetCommit tombstone", offset(), null, 0);
        for (int version = 0; version <= 4; version++)
            record("OffsetCommit v" + version, offset(), committed(), version);
        record("OffsetCommit v1 expiring", offset(), committed().setLeaderEpoch(-1).setExpireTimestamp(1700000999999L), 1);
        record("OffsetCommit v4 topic id", offset(), committed().setTopicId(TOPIC), 4);
        record("LegacyOffsetCommit", new LegacyOffsetCommitKey().setGroup("group").setTopic("topic").setPartition(7),
            new LegacyOffsetCommitValue().setOffset(9).setMetadata("m").setCommitTimestamp(11), 0);
        var groupKey = new GroupMetadataKey().setGroup("group");
        record("GroupMetadata tombstone", groupKey, null, 0);
        for (int version = 0; version <= 4; version++)
            record("GroupMetadata v" + version, groupKey, group(version >= 3), version);
        record("GroupMetadata v3 empty", groupKey, new GroupMetadataValue().setProtocolType("").setGeneration(0)
            .setProtocol(null).setLeader(null).setCurrentStateTimestamp(42).setMembers(List.of()), 3);

        var metadataKey = new ConsumerGroupMetadataKey().setGroupId("group");
        record("ConsumerGroupMetadata", metadataKey, new ConsumerGroupMetadataValue().setEpoch(10), 0);
        record("ConsumerGroupMetadata hash", metadataKey, new ConsumerGroupMetadataValue().setEpoch(10).setMetadataHash(-77), 0);
        record("ConsumerGroupMetadata tombstone", metadataKey, null, 0);
        record("ConsumerGroupPartitionMetadata", new ConsumerGroupPartitionMetadataKey().setGroupId("group"),
            new ConsumerGroupPartitionMetadataValue().setTopics(List.of(
                new ConsumerGroupPartitionMetadataValue.TopicMetadata().setTopicId(TOPIC).setTopicName("topic").setNumPartitions(2)
                    .setPartitionMetadata(List.of(new ConsumerGroupPartitionMetadataValue.PartitionMetadata().setPartition(1)
                        .setRacks(List.of("a", "b")))))), 0);
        var memberKey = new ConsumerGroupMemberMetadataKey().setGroupId("group").setMemberId("member");
        record("ConsumerGroupMemberMetadata", memberKey, new ConsumerGroupMemberMetadataValue().setInstanceId(null).setRackId(null)
            .setClientId("client").setClientHost("/127.0.0.1").setSubscribedTopicNames(List.of("a", "b"))
            .setSubscribedTopicRegex(null).setServerAssignor(null).setClassicMemberMetadata(null), 0);
        record("ConsumerGroupMemberMetadata default", memberKey, new ConsumerGroupMemberMetadataValue().setInstanceId(null).setRackId(null)
            .setSubscribedTopicRegex(null).setServerAssignor(null), 0);
        record("ConsumerGroupMemberMetadata classic", memberKey, new ConsumerGroupMemberMetadataValue().setInstanceId("i").setRackId("r")
            .setClientId("client").setClientHost("/127.0.0.1").setSubscribedTopicNames(List.of())
            .setSubscribedTopicRegex("t.*").setRebalanceTimeoutMs(300000).setServerAssignor("uniform")
            .setClassicMemberMetadata(new ConsumerGroupMemberMetadataValue.ClassicMemberMetadata().setSessionTimeoutMs(45000)
                .setSupportedProtocols(List.of(new ConsumerGroupMemberMetadataValue.ClassicProtocol().setName("range")
                    .setMetadata(new byte[] {1, 2, 3})))), 0);
        var targetKey = new ConsumerGroupTargetAssignmentMetadataKey().setGroupId("group");
        record("ConsumerGroupTargetAssignmentMetadata", targetKey, new ConsumerGroupTargetAssignmentMetadataValue().setAssignmentEpoch(4), 0);
        record("ConsumerGroupTargetAssignmentMetadata time", targetKey,
            new ConsumerGroupTargetAssignmentMetadataValue().setAssignmentEpoch(4).setAssignmentTimestamp(1700000000000L), 0);
        record("ConsumerGroupTargetAssignmentMember", new ConsumerGroupTargetAssignmentMemberKey().setGroupId("group").setMemberId("member"),
            new ConsumerGroupTargetAssignmentMemberValue().setTopicPartitions(List.of(
                new ConsumerGroupTargetAssignmentMemberValue.TopicPartition().setTopicId(TOPIC).setPartitions(List.of(0, 1, 2)),
                new ConsumerGroupTargetAssignmentMemberValue.TopicPartition().setTopicId(OTHER).setPartitions(List.of()))), 0);
        record("ConsumerGroupCurrentMemberAssignment", new ConsumerGroupCurrentMemberAssignmentKey().setGroupId("group").setMemberId("member"),
            new ConsumerGroupCurrentMemberAssignmentValue().setMemberEpoch(5).setPreviousMemberEpoch(4).setState((byte) 1)
                .setAssignedPartitions(List.of(new ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions().setTopicId(TOPIC)
                    .setPartitions(List.of(1, 2)).setAssignmentEpochs(List.of(3, 5))))
                .setPartitionsPendingRevocation(List.of(new ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions().setTopicId(OTHER)
                    .setPartitions(List.of(0)))), 0);
        record("ConsumerGroupRegularExpression", new ConsumerGroupRegularExpressionKey().setGroupId("group").setRegularExpression("t.*"),
            new ConsumerGroupRegularExpressionValue().setTopics(List.of("t1", "t2")).setVersion(99).setTimestamp(1700000000000L), 0);
        record("ShareGroupMetadata", new ShareGroupMetadataKey().setGroupId("group"), new ShareGroupMetadataValue().setEpoch(1), 0);
        record("StreamsGroupMetadata tombstone", new StreamsGroupMetadataKey().setGroupId("group"), null, 0);
    }
}
