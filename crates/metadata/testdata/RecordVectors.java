// Prints metadata records as Kafka's own serialiser writes them: name, then hex. Run against Kafka 4.4.0's jars:
//   javac -cp 'LIBS/*' RecordVectors.java && java -cp 'LIBS/*:.' RecordVectors > records.txt
import java.util.List;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.metadata.*;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.metadata.MetadataRecordSerde;
import org.apache.kafka.server.common.ApiMessageAndVersion;

public class RecordVectors {
    static final Uuid ID = new Uuid(0x0123456789abcdefL, 0x1032547698badcfeL);
    static final Uuid DIR = new Uuid(5L, 6L);

    static void print(String name, ApiMessage message, int version) {
        MetadataRecordSerde serde = MetadataRecordSerde.INSTANCE;
        ApiMessageAndVersion record = new ApiMessageAndVersion(message, (short) version);
        ObjectSerializationCache cache = new ObjectSerializationCache();
        java.nio.ByteBuffer buffer = java.nio.ByteBuffer.allocate(serde.recordSize(record, cache));
        serde.write(record, cache, new ByteBufferAccessor(buffer));
        StringBuilder hex = new StringBuilder();
        for (byte b : buffer.array()) hex.append(String.format("%02x", b));
        System.out.println(name + " " + hex);
    }

    public static void main(String[] args) {
        RegisterBrokerRecord.BrokerEndpointCollection endpoints = new RegisterBrokerRecord.BrokerEndpointCollection();
        endpoints.add(new RegisterBrokerRecord.BrokerEndpoint().setName("PLAINTEXT").setHost("h").setPort(65535).setSecurityProtocol((short) 0));
        RegisterBrokerRecord.BrokerFeatureCollection features = new RegisterBrokerRecord.BrokerFeatureCollection();
        features.add(new RegisterBrokerRecord.BrokerFeature().setName("f").setMinSupportedVersion((short) 1).setMaxSupportedVersion((short) 2));
        print("register-broker", new RegisterBrokerRecord().setBrokerId(1).setIncarnationId(ID).setBrokerEpoch(7)
            .setEndPoints(endpoints).setFeatures(features).setRack("r").setFenced(true).setLogDirs(List.of(DIR)), 4);
        print("register-broker-bare", new RegisterBrokerRecord().setBrokerId(1).setIncarnationId(ID).setBrokerEpoch(7)
            .setRack(null).setFenced(false).setInControlledShutdown(true).setCordonedLogDirs(List.of()), 4);
        RegisterControllerRecord.ControllerEndpointCollection controllerEndpoints = new RegisterControllerRecord.ControllerEndpointCollection();
        controllerEndpoints.add(new RegisterControllerRecord.ControllerEndpoint().setName("PLAINTEXT").setHost("h").setPort(65535).setSecurityProtocol((short) 0));
        RegisterControllerRecord.ControllerFeatureCollection controllerFeatures = new RegisterControllerRecord.ControllerFeatureCollection();
        controllerFeatures.add(new RegisterControllerRecord.ControllerFeature().setName("f").setMinSupportedVersion((short) 1).setMaxSupportedVersion((short) 2));
        print("register-controller", new RegisterControllerRecord().setControllerId(1).setIncarnationId(ID)
            .setEndPoints(controllerEndpoints).setFeatures(controllerFeatures), 0);
        print("unregister-controller", new UnregisterControllerRecord().setControllerId(1), 0);
        print("unregister-broker", new UnregisterBrokerRecord().setBrokerId(1).setBrokerEpoch(7), 0);
        print("broker-change", new BrokerRegistrationChangeRecord().setBrokerId(1).setBrokerEpoch(7).setFenced((byte) -1), 3);
        print("broker-change-all", new BrokerRegistrationChangeRecord().setBrokerId(1).setBrokerEpoch(7).setFenced((byte) 1)
            .setInControlledShutdown((byte) 1).setLogDirs(List.of(DIR)).setCordonedLogDirs(List.of(DIR)), 3);
        print("fence", new FenceBrokerRecord().setId(1).setEpoch(7), 0);
        print("unfence", new UnfenceBrokerRecord().setId(1).setEpoch(7), 0);
        print("topic", new TopicRecord().setName("t").setTopicId(ID), 0);
        print("partition", new PartitionRecord().setPartitionId(3).setTopicId(ID).setReplicas(List.of(1, 2)).setIsr(List.of(1))
            .setRemovingReplicas(List.of()).setAddingReplicas(List.of(2)).setLeader(1).setLeaderEpoch(4).setPartitionEpoch(5)
            .setDirectories(List.of(DIR, DIR)), 2);
        print("partition-elr", new PartitionRecord().setPartitionId(3).setTopicId(ID).setReplicas(List.of(1, 2)).setIsr(List.of(1))
            .setLeader(-1).setLeaderRecoveryState((byte) 1).setLeaderEpoch(4).setPartitionEpoch(5).setDirectories(List.of(DIR, DIR))
            .setEligibleLeaderReplicas(List.of(2)).setLastKnownElr(List.of(1)), 2);
        print("partition-change", new PartitionChangeRecord().setPartitionId(3).setTopicId(ID).setLeader(-1), 2);
        print("partition-change-all", new PartitionChangeRecord().setPartitionId(3).setTopicId(ID).setIsr(List.of(1)).setLeader(2)
            .setReplicas(List.of(1)).setRemovingReplicas(List.of()).setAddingReplicas(List.of(2)).setLeaderRecoveryState((byte) 0)
            .setDirectories(List.of(DIR)).setEligibleLeaderReplicas(List.of(2)).setLastKnownElr(List.of()), 2);
        print("remove-topic", new RemoveTopicRecord().setTopicId(ID), 0);
        print("config", new ConfigRecord().setResourceType((byte) 2).setResourceName("t").setName("n").setValue("v"), 0);
        print("config-delete", new ConfigRecord().setResourceType((byte) 4).setResourceName("").setName("n").setValue(null), 0);
        print("producer-ids", new ProducerIdsRecord().setBrokerId(1).setBrokerEpoch(7).setNextProducerId(1000), 0);
        print("feature", new FeatureLevelRecord().setName("metadata.version").setFeatureLevel((short) 33), 0);
        print("no-op", new NoOpRecord(), 0);
    }
}
