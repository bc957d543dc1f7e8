// As ConsumerGroupTranscripts, with members of the classic protocol among the others, so that groups change between the
// protocols while they have members:
//   javac -d OUT -cp 'KAFKA_4.4.0/libs/*' ConsumerGroupTranscripts.java MigrationTranscripts.java
//   java -cp 'OUT:KAFKA_4.4.0/libs/*' org.apache.kafka.coordinator.group.MigrationTranscripts migration_transcripts.txt
// Kafka takes the leader of a classic group from a hash map: it is written down after each step, for the other side to
// take over. Ids are random, and written down with the join that got them.
package org.apache.kafka.coordinator.group;

import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.util.*;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.internals.ConsumerProtocol;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.coordinator.common.runtime.CoordinatorResult;
import org.apache.kafka.coordinator.common.runtime.CoordinatorRecord;
import org.apache.kafka.coordinator.group.classic.ClassicGroup;
import org.apache.kafka.coordinator.group.generated.*;

public class MigrationTranscripts extends ConsumerGroupTranscripts {
    enum Phase { OUT, JOINING, JOINED, SYNCING, IN }

    class Classic {
        final String instance;
        final short version = (short) random.nextInt(4);
        final boolean two = random.nextBoolean();
        String id = "";
        int generation = -1;
        List<String> names = List.of();
        TreeMap<String, TreeSet<Integer>> owned = new TreeMap<>();
        Phase phase = Phase.OUT;
        CompletableFuture<JoinGroupResponseData> join;
        CompletableFuture<SyncGroupResponseData> sync;
        JoinGroupResponseData joined;
        int token;

        Classic(String instance) {
            this.instance = instance;
            subscribe();
        }

        void subscribe() {
            names = Arrays.stream(NAMES).filter(n -> random.nextInt(3) > 0).toList();
        }

        void forget() {
            id = "";
            generation = -1;
            owned.clear();
            phase = Phase.OUT;
        }
    }

    final List<Classic> classics = new ArrayList<>();
    int tokens = 0;

    MigrationTranscripts(PrintWriter out, long seed, Map<String, Object> settings, String header) {
        super(out, seed, settings, header);
        for (int i = 0; i < 2 + random.nextInt(2); i++) classics.add(new Classic(random.nextInt(3) == 0 ? "i" + i : null));
    }

    @Override
    void step() {
        int what = random.nextInt(10);
        if (what < 3) super.step();
        else if (what == 3) leaveAll();
        else classic(classics.get(random.nextInt(classics.size())));
        finish();
    }

    // A consumer member leaves for sure: that is what downgrades.
    void leaveAll() {
        if (random.nextInt(3) > 0) return;
        for (Client client : clients) {
            if (client.epoch > 0) {
                beat(client, -1, false);
                client.restart();
                finish();
            }
        }
    }

    void classic(Classic c) {
        switch (random.nextInt(14)) {
            case 0 -> leave(c, random.nextBoolean());
            case 1 -> c.subscribe();
            case 2 -> tick(random.nextInt(12) == 0 ? 31_000 : random.nextInt(4_000));
            default -> {
                switch (c.phase) {
                    case OUT -> join(c);
                    case JOINED -> sync(c);
                    case IN -> { if (random.nextInt(12) == 0) join(c); else heartbeat(c); }
                    default -> tick(random.nextInt(2_500));
                }
            }
        }
    }

    ByteBuffer metadata(Classic c) {
        List<TopicPartition> owned = c.owned.entrySet().stream()
            .flatMap(e -> e.getValue().stream().map(p -> new TopicPartition(e.getKey(), p))).toList();
        return ConsumerProtocol.serializeSubscription(new ConsumerPartitionAssignor.Subscription(
            c.names, null, owned, c.generation, Optional.of("r").filter(r -> c.two)), c.version);
    }

    void join(Classic c) {
        // Kafka then forgets the group without a record of it: not to be followed.
        if (isEmptyConsumerGroup()) c.forget();
        byte[] metadata = metadata(c).array();
        var protocols = new JoinGroupRequestData.JoinGroupRequestProtocolCollection();
        List<String> names = c.two ? List.of("range", "roundrobin") : List.of("range");
        names.forEach(n -> protocols.add(new JoinGroupRequestData.JoinGroupRequestProtocol().setName(n).setMetadata(metadata)));
        boolean needsId = random.nextBoolean();
        JoinGroupRequestData request = new JoinGroupRequestData().setGroupId("g").setMemberId(c.id).setGroupInstanceId(c.instance)
            .setSessionTimeoutMs(12_000).setRebalanceTimeoutMs(20_000).setProtocolType("consumer").setProtocols(protocols);
        Set<String> before = members();
        c.token = tokens++;
        c.join = new CompletableFuture<>();
        c.phase = Phase.JOINING;
        CoordinatorResult<?, CoordinatorRecord> result = null;
        Errors error = Errors.NONE;
        try {
            result = manager.classicGroupJoin(new Context(needsId ? 9 : 3), request, c.join, true);
        } catch (ApiException e) {
            error = Errors.forException(e);
        }
        Set<String> after = members();
        after.removeAll(before);
        String given = after.isEmpty() ? "-" : after.iterator().next();
        if (error != Errors.NONE) c.join.complete(new JoinGroupResponseData().setErrorCode(error.code()));
        if (c.join.isDone() && !c.join.join().memberId().isEmpty()) given = c.join.join().memberId();
        StringBuilder line = new StringBuilder();
        print(line, result);
        // The id is known now; for a consumer group it is in the records' answer.
        if (c.join.isDone() && !c.join.join().memberId().isEmpty()) given = c.join.join().memberId();
        out.println("join|" + c.token + "|" + or(c.id) + "|" + or(c.instance) + "|" + (needsId ? 9 : 3) + "|" + given
            + "|" + String.join(",", names) + "|" + HexFormat.of().formatHex(metadata));
        out.print(line);
    }

    // Commits into a string: the input line must come first, and is complete only afterwards.
    void print(StringBuilder into, CoordinatorResult<?, CoordinatorRecord> result) {
        if (result == null) return;
        java.io.StringWriter text = new java.io.StringWriter();
        PrintWriter kept = out;
        out = new PrintWriter(text);
        commit(result);
        out.flush();
        out = kept;
        into.append(text);
    }

    Set<String> members() {
        try {
            if (manager.group("g") instanceof ClassicGroup g) return new TreeSet<>(g.allMemberIds());
        } catch (GroupIdNotFoundException e) { }
        return new TreeSet<>();
    }

    boolean isEmptyConsumerGroup() {
        try {
            Group group = manager.group("g");
            return group.type() == Group.GroupType.CONSUMER && group.isEmpty();
        } catch (GroupIdNotFoundException e) {
            return false;
        }
    }

    void sync(Classic c) {
        SyncGroupRequestData request = new SyncGroupRequestData().setGroupId("g").setMemberId(c.id).setGroupInstanceId(c.instance)
            .setGenerationId(c.generation).setProtocolType("consumer").setProtocolName("range");
        StringBuilder assigned = new StringBuilder();
        if (c.joined != null && c.id.equals(c.joined.leader()) && !c.joined.members().isEmpty()) {
            request.setAssignments(assign(c.joined, assigned));
        }
        c.token = tokens++;
        c.sync = new CompletableFuture<>();
        c.phase = Phase.SYNCING;
        out.println("sync|" + c.token + "|" + c.id + "|" + or(c.instance) + "|" + c.generation + "|" + assigned);
        try {
            commit(manager.classicGroupSync(new Context(5), request, c.sync));
        } catch (ApiException e) {
            c.sync.complete(new SyncGroupResponseData().setErrorCode(Errors.forException(e).code()));
        }
    }

    // Each partition to one of the members that subscribe to its topic.
    List<SyncGroupRequestData.SyncGroupRequestAssignment> assign(JoinGroupResponseData joined, StringBuilder line) {
        TreeMap<String, TreeMap<String, TreeSet<Integer>>> all = new TreeMap<>();
        TreeMap<String, Set<String>> names = new TreeMap<>();
        for (var member : joined.members()) {
            all.put(member.memberId(), new TreeMap<>());
            names.put(member.memberId(),
                new HashSet<>(ConsumerProtocol.deserializeSubscription(ByteBuffer.wrap(member.metadata())).topics()));
        }
        int turn = 0;
        for (Topic topic : image.topics.values()) {
            List<String> users = names.entrySet().stream().filter(e -> e.getValue().contains(topic.name())).map(Map.Entry::getKey).toList();
            for (int p = 0; p < topic.partitionCount() && !users.isEmpty(); p++) {
                all.get(users.get(turn++ % users.size())).computeIfAbsent(topic.name(), k -> new TreeSet<>()).add(p);
            }
        }
        List<SyncGroupRequestData.SyncGroupRequestAssignment> out = new ArrayList<>();
        all.forEach((id, topics) -> {
            List<TopicPartition> partitions = topics.entrySet().stream()
                .flatMap(e -> e.getValue().stream().map(p -> new TopicPartition(e.getKey(), p))).toList();
            byte[] bytes = ConsumerProtocol.serializeAssignment(new ConsumerPartitionAssignor.Assignment(partitions)).array();
            out.add(new SyncGroupRequestData.SyncGroupRequestAssignment().setMemberId(id).setAssignment(bytes));
            line.append(line.isEmpty() ? "" : ";").append(id).append('=').append(HexFormat.of().formatHex(bytes));
        });
        return out;
    }

    void heartbeat(Classic c) {
        HeartbeatRequestData request = new HeartbeatRequestData().setGroupId("g").setMemberId(c.id)
            .setGroupInstanceId(c.instance).setGenerationId(c.generation);
        out.println("heartbeat|" + c.id + "|" + or(c.instance) + "|" + c.generation);
        Errors error;
        try {
            var result = manager.classicGroupHeartbeat(new Context(4), request);
            commit(result);
            error = Errors.forCode(result.response().errorCode());
        } catch (ApiException e) {
            error = Errors.forException(e);
        }
        out.println("~ heartbeat " + error.name());
        failed(c, error);
    }

    void leave(Classic c, boolean byInstance) {
        if (c.id.isEmpty() || c.phase == Phase.JOINING || c.phase == Phase.SYNCING) return;
        String id = c.instance != null && byInstance ? "" : c.id;
        LeaveGroupRequestData request = new LeaveGroupRequestData().setGroupId("g").setMembers(List.of(
            new LeaveGroupRequestData.MemberIdentity().setMemberId(id).setGroupInstanceId(c.instance)));
        out.println("leave|" + or(id) + "|" + or(c.instance));
        Errors error;
        try {
            var result = manager.classicGroupLeave(new Context(5), request);
            commit(result);
            error = Errors.forCode(result.response().members().get(0).errorCode());
        } catch (ApiException e) {
            error = Errors.forException(e);
        }
        out.println("~ leave " + error.name());
        c.forget();
    }

    void failed(Classic c, Errors error) {
        switch (error) {
            case NONE -> { }
            case REBALANCE_IN_PROGRESS -> c.phase = Phase.OUT;
            case ILLEGAL_GENERATION -> {
                c.generation = -1;
                c.owned.clear();
                c.phase = Phase.OUT;
            }
            default -> c.forget();
        }
    }

    // Writes down what was answered, and how the group stands.
    void finish() {
        classics.stream().sorted(Comparator.comparing(c -> c.token)).forEach(c -> {
            if (c.join != null && c.join.isDone()) {
                JoinGroupResponseData r = c.join.join();
                Errors error = Errors.forCode(r.errorCode());
                out.println("~ join " + c.token + " " + error.name() + " " + or(r.memberId()) + " " + r.generationId()
                    + " " + r.protocolType() + " " + or(r.protocolName()) + " " + r.skipAssignment());
                c.join = null;
                c.joined = r;
                c.phase = Phase.OUT;
                if (error == Errors.NONE) {
                    c.id = r.memberId();
                    c.generation = r.generationId();
                    c.phase = Phase.JOINED;
                } else if (error == Errors.MEMBER_ID_REQUIRED) {
                    c.id = r.memberId();
                } else {
                    failed(c, error);
                }
            }
            if (c.sync != null && c.sync.isDone()) {
                SyncGroupResponseData r = c.sync.join();
                Errors error = Errors.forCode(r.errorCode());
                out.println("~ sync " + c.token + " " + error.name() + " " + r.protocolType() + " " + r.protocolName() + " "
                    + showAssignment(r.assignment()));
                c.sync = null;
                c.phase = error == Errors.NONE ? Phase.IN : Phase.OUT;
                if (error == Errors.NONE) {
                    c.owned.clear();
                    if (r.assignment().length > 0) {
                        ConsumerProtocol.deserializeAssignment(ByteBuffer.wrap(r.assignment())).partitions()
                            .forEach(tp -> c.owned.computeIfAbsent(tp.topic(), k -> new TreeSet<>()).add(tp.partition()));
                    }
                } else {
                    failed(c, error);
                }
            }
        });
        String state = "none";
        try {
            Group group = manager.group("g");
            state = group.type() + " " + group.stateAsString();
            if (group instanceof ClassicGroup g) state += " " + g.generationId() + " " + or(g.leaderOrNull());
        } catch (GroupIdNotFoundException e) { }
        out.println("# " + state);
    }

    static String or(String text) {
        return text == null || text.isEmpty() ? "-" : text;
    }

    static String showClassic(ConsumerGroupMemberMetadataValue v) {
        var classic = v.classicMemberMetadata();
        if (classic == null) return "";
        return " classic " + or(v.instanceId()) + " " + or(v.rackId()) + " " + v.rebalanceTimeoutMs() + " " + classic.sessionTimeoutMs() + " "
            + classic.supportedProtocols().stream().map(p -> p.name() + "=" + HexFormat.of().formatHex(p.metadata()))
                .collect(Collectors.joining(","));
    }

    static String showGroup(GroupMetadataValue v) {
        if (v == null) return "-group";
        return "group " + or(v.protocolType()) + " " + v.generation() + " " + or(v.protocol()) + " @" + v.currentStateTimestamp()
            + v.members().stream().sorted(Comparator.comparing(m -> m.memberId())).map(m -> " " + m.memberId() + " "
                + or(m.groupInstanceId()) + " " + m.sessionTimeout() + " " + m.rebalanceTimeout() + " "
                + HexFormat.of().formatHex(m.subscription()) + " " + showAssignment(m.assignment())).collect(Collectors.joining());
    }

    static String showAssignment(byte[] bytes) {
        if (bytes.length == 0) return "[]";
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        short version = ConsumerProtocol.deserializeVersion(buffer);
        TreeMap<String, TreeSet<Integer>> topics = new TreeMap<>();
        ConsumerProtocol.deserializeAssignment(buffer, version).partitions()
            .forEach(tp -> topics.computeIfAbsent(tp.topic(), k -> new TreeSet<>()).add(tp.partition()));
        return "[v" + version + topics.entrySet().stream().map(e -> ";" + e.getKey() + ":" + e.getValue().stream()
            .map(Object::toString).collect(Collectors.joining(","))).collect(Collectors.joining()) + "]";
    }

    public static void main(String[] args) throws Exception {
        String[] policies = {"bidirectional", "bidirectional", "bidirectional", "upgrade", "downgrade", "disabled"};
        try (PrintWriter out = new PrintWriter(args[0])) {
            out.println("# Kafka 4.4.0's GroupMetadataManager; made by MigrationTranscripts.java.");
            for (int seed = 1; seed <= 24; seed++) {
                String policy = policies[seed % policies.length];
                int classicSize = seed % 7 == 0 ? 2 : 1000;
                int consumerSize = seed % 5 == 0 ? 3 : 1000;
                MigrationTranscripts script = new MigrationTranscripts(out, seed, Map.of(
                    "group.consumer.migration.policy", policy, "group.max.size", classicSize,
                    "group.consumer.max.size", consumerSize), " " + policy + " " + classicSize + " " + consumerSize);
                for (int i = 0; i < 180; i++) script.step();
            }
        }
    }
}
