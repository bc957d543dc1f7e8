// Drives Kafka's own GroupMetadataManager with random but legal clients and writes down what it answers and records:
//   javac -d OUT -cp 'KAFKA_4.4.0/libs/*' ConsumerGroupTranscripts.java
//   java -cp 'OUT:KAFKA_4.4.0/libs/*' org.apache.kafka.coordinator.group.ConsumerGroupTranscripts consumer_group_transcripts.txt
// The range assignor is used because it does not depend on the iteration order of hash maps; what does is sorted.
package org.apache.kafka.coordinator.group;

import java.io.PrintWriter;
import java.net.InetAddress;
import java.util.*;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.message.ConsumerGroupHeartbeatRequestData;
import org.apache.kafka.common.message.ConsumerGroupHeartbeatResponseData;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.security.auth.SecurityProtocol;
import org.apache.kafka.common.utils.internals.LogContext;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.coordinator.common.runtime.*;
import org.apache.kafka.coordinator.group.generated.*;
import org.apache.kafka.coordinator.group.metrics.GroupCoordinatorMetricsShard;
import org.apache.kafka.coordinator.group.modern.share.ShareGroupConfig;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;
import org.apache.kafka.timeline.SnapshotRegistry;

public class ConsumerGroupTranscripts {
    static final String[] NAMES = {"foo", "foobar", "bar"};
    static final String[] REGEXES = {"foo.*", ".*"};

    record Topic(String name, Uuid id, int partitionCount) implements CoordinatorMetadataImage.TopicMetadata {
        public List<String> partitionRacks(int partition) { return new ArrayList<>(); }
    }

    static class Image implements CoordinatorMetadataImage {
        final TreeMap<String, Topic> topics = new TreeMap<>();
        long version = 0;

        public Set<Uuid> topicIds() { return topics.values().stream().map(Topic::id).collect(Collectors.toSet()); }
        public Set<String> topicNames() { return topics.keySet(); }
        public Optional<TopicMetadata> topicMetadata(String name) { return Optional.ofNullable(topics.get(name)); }
        public Optional<TopicMetadata> topicMetadata(Uuid id) {
            return topics.values().stream().filter(t -> t.id().equals(id)).map(t -> (TopicMetadata) t).findFirst();
        }
        public CoordinatorMetadataDelta emptyDelta() { return CoordinatorMetadataDelta.EMPTY; }
        public long version() { return version; }
        public boolean isEmpty() { return topics.isEmpty(); }
    }

    static class Clock implements Time {
        long now = 1_000_000;

        public long milliseconds() { return now; }
        public long nanoseconds() { return now * 1_000_000; }
        public void sleep(long ms) { now += ms; }
    }

    static int rank(String timeout) {
        List<String> order = List.of("heartbeat-g-", "join-g", "sync-g", "session-", "rebalance-", "join-g-", "sync-g-");
        int rank = 0;
        for (int i = 0; i < order.size(); i++) {
            boolean whole = i == 1 || i == 2;
            if (whole ? timeout.equals(order.get(i)) : timeout.startsWith(order.get(i))) rank = i;
        }
        return rank;
    }

    record Timeout(long at, CoordinatorTimer.TimeoutOperation<CoordinatorRecord> run) { }

    class Timer implements CoordinatorTimer<CoordinatorRecord> {
        // Of those that are due together the order is our implementation's.
        final TreeMap<String, Timeout> timeouts = new TreeMap<>(
            Comparator.comparing(ConsumerGroupTranscripts::rank).thenComparing(Comparator.naturalOrder()));

        public void schedule(String key, long delay, TimeUnit unit, boolean retry, TimeoutOperation<CoordinatorRecord> run) {
            timeouts.put(key, new Timeout(clock.now + unit.toMillis(delay), run));
        }
        public void schedule(String key, long delay, TimeUnit unit, boolean retry, long backoff, TimeoutOperation<CoordinatorRecord> run) {
            schedule(key, delay, unit, retry, run);
        }
        public void scheduleIfAbsent(String key, long delay, TimeUnit unit, boolean retry, TimeoutOperation<CoordinatorRecord> run) {
            if (!timeouts.containsKey(key)) schedule(key, delay, unit, retry, run);
        }
        public void cancel(String key) { timeouts.remove(key); }
        public boolean isScheduled(String key) { return timeouts.containsKey(key); }
    }

    class Executor implements CoordinatorExecutor<CoordinatorRecord> {
        final TreeMap<String, Runnable> tasks = new TreeMap<>();

        public <R> boolean schedule(String key, TaskRunnable<R> task, TaskOperation<CoordinatorRecord, R> operation) {
            return tasks.putIfAbsent(key, () -> {
                try {
                    commit(operation.onComplete(task.run(), null));
                } catch (Throwable e) {
                    throw new RuntimeException(e);
                }
            }) == null;
        }
        public boolean isScheduled(String key) { return tasks.containsKey(key); }
        public void cancel(String key) { tasks.remove(key); }
    }

    static class Client {
        String id;
        String instance;
        int epoch = 0;
        int incarnation = 0;
        List<String> names;
        String regex;
        TreeMap<Long, TreeSet<Integer>> owned = new TreeMap<>();
        TreeMap<Long, TreeSet<Integer>> wanted = new TreeMap<>();
        boolean full = true;

        void abandon() {
            epoch = 0;
            owned.clear();
            wanted.clear();
            full = true;
        }

        void restart() {
            abandon();
            incarnation++;
            id = id.substring(0, id.indexOf('-') + 1) + incarnation;
        }
    }

    PrintWriter out;
    final Random random;
    final Clock clock = new Clock();
    final Image image = new Image();
    final Timer timer = new Timer();
    final Executor executor = new Executor();
    final GroupMetadataManager manager;
    final List<Client> clients = new ArrayList<>();

    ConsumerGroupTranscripts(PrintWriter out, long seed) {
        this(out, seed, Map.of(), "");
    }

    ConsumerGroupTranscripts(PrintWriter out, long seed, Map<String, Object> settings, String header) {
        this.out = out;
        random = new Random(seed);
        int interval = random.nextBoolean() ? 0 : 1000;
        Map<String, Object> props = new HashMap<>(settings);
        props.put("group.consumer.assignors", "range");
        props.put("group.consumer.assignment.interval.ms", interval);
        AbstractConfig config = new AbstractConfig(
            org.apache.kafka.common.utils.Utils.mergeConfigs(List.of(GroupCoordinatorConfig.CONFIG_DEF, ShareGroupConfig.CONFIG_DEF)), props);
        GroupCoordinatorConfig groupConfig = new GroupCoordinatorConfig(config);
        SnapshotRegistry registry = new SnapshotRegistry(new LogContext());
        manager = new GroupMetadataManager.Builder()
            .withSnapshotRegistry(registry).withTime(clock).withTimer(timer).withExecutor(executor).withConfig(groupConfig)
            .withGroupConfigManager(new GroupConfigManager(groupConfig, new ShareGroupConfig(config)))
            .withMetadataImage(image)
            .withGroupCoordinatorMetricsShard(new GroupCoordinatorMetricsShard(registry, Map.of(), new TopicPartition("t", 0)) {
                public void record(String name) { }
                public void record(String name, double value) { }
            })
            .build();
        out.println("script " + interval + header);
        for (int i = 0; i < NAMES.length; i++) topic(NAMES[i], i + 1, 1 + random.nextInt(4));
        for (int i = 0; i < 2 + random.nextInt(3); i++) {
            Client client = new Client();
            client.id = "m" + i + "-0";
            client.instance = random.nextInt(3) == 0 ? "i" + i : null;
            subscribe(client);
            clients.add(client);
        }
    }

    void subscribe(Client client) {
        client.names = new ArrayList<>();
        client.regex = "";
        if (random.nextInt(3) == 0) {
            client.regex = REGEXES[random.nextInt(2)];
        } else {
            for (String name : NAMES) if (random.nextInt(3) > 0) client.names.add(name);
        }
        client.full = true;
    }

    void topic(String name, long id, int partitions) {
        out.println("topic " + name + " " + id + " " + partitions);
        boolean created = image.topics.put(name, new Topic(name, new Uuid(0, id), partitions)) == null;
        image.version++;
        Set<Uuid> ids = Set.of(new Uuid(0, id));
        manager.onMetadataUpdate(new CoordinatorMetadataDelta() {
            public Collection<Uuid> createdTopicIds() { return created ? ids : Set.of(); }
            public Collection<Uuid> changedTopicIds() { return ids; }
            public Set<Uuid> deletedTopicIds() { return Set.of(); }
            public CoordinatorMetadataImage image() { return image; }
        }, image);
    }

    void step() {
        Client client = clients.get(random.nextInt(clients.size()));
        switch (random.nextInt(16)) {
            case 0 -> client.restart();
            case 1 -> {
                if (client.epoch > 0) {
                    int epoch = client.instance != null && random.nextBoolean() ? -2 : -1;
                    beat(client, epoch, false);
                    client.restart();
                }
            }
            case 2 -> subscribe(client);
            case 3 -> {
                int which = random.nextInt(NAMES.length);
                topic(NAMES[which], which + 1, image.topics.get(NAMES[which]).partitionCount() + 1);
            }
            case 4, 5 -> tick(random.nextInt(25) == 0 ? 46_000 : random.nextInt(4_000));
            case 6, 7, 8, 9 -> {
                client.owned.keySet().retainAll(client.wanted.keySet());
                client.owned.forEach((t, ps) -> ps.retainAll(client.wanted.get(t)));
                client.owned.values().removeIf(TreeSet::isEmpty);
            }
            default -> beat(client, client.epoch, random.nextInt(6) == 0);
        }
    }

    void beat(Client client, int epoch, boolean lost) {
        boolean say = epoch == 0 || client.full;
        ConsumerGroupHeartbeatRequestData request = new ConsumerGroupHeartbeatRequestData()
            .setGroupId("g").setMemberId(client.id).setMemberEpoch(epoch).setInstanceId(client.instance);
        boolean owns = say || random.nextBoolean();
        if (say) request.setRebalanceTimeoutMs(30_000).setSubscribedTopicNames(client.names).setSubscribedTopicRegex(client.regex);
        if (owns) {
            request.setTopicPartitions(client.owned.entrySet().stream()
                .map(e -> new ConsumerGroupHeartbeatRequestData.TopicPartitions()
                    .setTopicId(new Uuid(0, e.getKey())).setPartitions(List.copyOf(e.getValue()))).toList());
        }
        out.println("beat|" + client.id + "|" + epoch + "|" + (client.instance == null ? "-" : client.instance)
            + "|" + (say ? "[" + String.join(",", client.names) + "]" : "-")
            + "|" + (say ? "[" + client.regex + "]" : "-")
            + "|" + (owns ? "[" + show(client.owned) + "]" : "-"));
        try {
            CoordinatorResult<ConsumerGroupHeartbeatResponseData, CoordinatorRecord> result =
                manager.consumerGroupHeartbeat(new Context(1), request);
            commit(result);
            answer(client, result.response(), lost);
        } catch (ApiException e) {
            out.println("! " + Errors.forException(e).name() + " " + e.getMessage());
            client.abandon();
        } catch (NoSuchElementException | IllegalArgumentException | IllegalStateException e) {
            out.println("! UNKNOWN_SERVER_ERROR");
            client.abandon();
        }
        tick(0);
    }

    void answer(Client client, ConsumerGroupHeartbeatResponseData response, boolean lost) {
        TreeMap<Long, TreeSet<Integer>> assignment = null;
        if (response.assignment() != null) {
            assignment = new TreeMap<>();
            for (var t : response.assignment().topicPartitions()) {
                assignment.put(t.topicId().getLeastSignificantBits(), new TreeSet<>(t.partitions()));
            }
        }
        out.println("= " + response.memberEpoch() + (assignment == null ? " -" : " [" + show(assignment) + "]"));
        if (lost) {
            client.full = true;
            return;
        }
        client.epoch = response.memberEpoch();
        client.full = false;
        if (assignment != null) {
            client.wanted = assignment;
            assignment.forEach((t, ps) -> client.owned.computeIfAbsent(t, k -> new TreeSet<>()).addAll(ps));
        }
    }

    void tick(int ms) {
        out.println("tick " + ms);
        long end = clock.now + ms;
        while (!executor.tasks.isEmpty()) executor.tasks.pollFirstEntry().getValue().run();
        while (true) {
            Map.Entry<String, Timeout> due = timer.timeouts.entrySet().stream()
                .filter(e -> e.getValue().at() <= end).min(Comparator.comparingLong(e -> e.getValue().at())).orElse(null);
            if (due == null) break;
            Timeout timeout = due.getValue();
            timer.timeouts.remove(due.getKey());
            clock.now = Math.max(clock.now, timeout.at());
            commit(timeout.run().generateRecords());
        }
        clock.now = end;
    }

    void commit(CoordinatorResult<?, CoordinatorRecord> result) {
        List<String> lines = new ArrayList<>();
        for (CoordinatorRecord record : result.records()) {
            lines.add(show(record));
            if (result.replayRecords()) replay(record);
        }
        // Kafka writes the members' targets, and what it deletes or resolves of regular expressions, in hash order.
        int start = 0;
        while (start < lines.size()) {
            String kind = lines.get(start).split(" ")[0];
            int end = start + 1;
            while (end < lines.size() && lines.get(end).split(" ")[0].equals(kind)) end++;
            lines.subList(start, end).sort(Comparator.naturalOrder());
            start = end;
        }
        lines.forEach(line -> out.println("> " + line));
        if (result.appendFuture() != null) result.appendFuture().complete(null);
    }

    void replay(CoordinatorRecord record) {
        try {
            Object value = record.value() == null ? null : record.value().message();
            for (var method : GroupMetadataManager.class.getMethods()) {
                if (method.getName().equals("replay") && method.getParameterTypes()[0] == record.key().getClass()) {
                    method.invoke(manager, record.key(), value);
                    return;
                }
            }
            throw new IllegalStateException("no replay of " + record.key());
        } catch (ReflectiveOperationException e) {
            throw new RuntimeException(e);
        }
    }

    static String show(CoordinatorRecord record) {
        Object key = record.key();
        Object value = record.value() == null ? null : record.value().message();
        if (key instanceof ConsumerGroupMetadataKey) {
            ConsumerGroupMetadataValue v = (ConsumerGroupMetadataValue) value;
            return v == null ? "-epoch" : "epoch " + v.epoch() + " #" + v.metadataHash();
        } else if (key instanceof ConsumerGroupPartitionMetadataKey) {
            return "-partition_metadata";
        } else if (key instanceof ConsumerGroupMemberMetadataKey k) {
            ConsumerGroupMemberMetadataValue v = (ConsumerGroupMemberMetadataValue) value;
            if (v == null) return "-member " + k.memberId();
            String regex = v.subscribedTopicRegex();
            return "member " + k.memberId() + " " + String.join(",", new TreeSet<>(v.subscribedTopicNames()))
                + (regex.isEmpty() ? "" : "/" + regex + "/") + MigrationTranscripts.showClassic(v);
        } else if (key instanceof ConsumerGroupTargetAssignmentMetadataKey) {
            ConsumerGroupTargetAssignmentMetadataValue v = (ConsumerGroupTargetAssignmentMetadataValue) value;
            return v == null ? "-target_epoch" : "target_epoch " + v.assignmentEpoch() + " @" + v.assignmentTimestamp();
        } else if (key instanceof ConsumerGroupTargetAssignmentMemberKey k) {
            ConsumerGroupTargetAssignmentMemberValue v = (ConsumerGroupTargetAssignmentMemberValue) value;
            if (v == null) return "-target " + k.memberId();
            TreeMap<Long, TreeSet<Integer>> target = new TreeMap<>();
            v.topicPartitions().forEach(t -> target.put(t.topicId().getLeastSignificantBits(), new TreeSet<>(t.partitions())));
            return ("target " + k.memberId() + " " + show(target)).trim();
        } else if (key instanceof ConsumerGroupCurrentMemberAssignmentKey k) {
            ConsumerGroupCurrentMemberAssignmentValue v = (ConsumerGroupCurrentMemberAssignmentValue) value;
            if (v == null) return "-current " + k.memberId();
            return "current " + k.memberId() + " " + v.memberEpoch() + "<-" + v.previousMemberEpoch() + " " + v.state()
                + showOwned(v.assignedPartitions()) + " |" + showOwned(v.partitionsPendingRevocation());
        } else if (key instanceof ConsumerGroupRegularExpressionKey k) {
            ConsumerGroupRegularExpressionValue v = (ConsumerGroupRegularExpressionValue) value;
            return v == null ? "-regex " + k.regularExpression()
                : "regex " + k.regularExpression() + " " + String.join(",", v.topics()) + " v" + v.version() + " @" + v.timestamp();
        }
        return MigrationTranscripts.showGroup((GroupMetadataValue) value);
    }

    static String show(TreeMap<Long, TreeSet<Integer>> assignment) {
        return assignment.entrySet().stream()
            .map(e -> e.getKey() + ":" + e.getValue().stream().map(Object::toString).collect(Collectors.joining(",")))
            .collect(Collectors.joining(" "));
    }

    static String showOwned(List<ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions> topics) {
        TreeMap<Long, TreeMap<Integer, Integer>> sorted = new TreeMap<>();
        for (var t : topics) {
            for (int i = 0; i < t.partitions().size(); i++) {
                sorted.computeIfAbsent(t.topicId().getLeastSignificantBits(), k -> new TreeMap<>())
                    .put(t.partitions().get(i), t.assignmentEpochs().get(i));
            }
        }
        return sorted.entrySet().stream()
            .map(e -> " " + e.getKey() + ":" + e.getValue().entrySet().stream()
                .map(p -> p.getKey() + "@" + p.getValue()).collect(Collectors.joining(",")))
            .collect(Collectors.joining());
    }

    record Context(int requestVersion) implements AuthorizableRequestContext {
        public String listenerName() { return "l"; }
        public SecurityProtocol securityProtocol() { return SecurityProtocol.PLAINTEXT; }
        public KafkaPrincipal principal() { return KafkaPrincipal.ANONYMOUS; }
        public InetAddress clientAddress() { return InetAddress.getLoopbackAddress(); }
        public int requestType() { return 68; }
        public String clientId() { return "client"; }
        public int correlationId() { return 0; }
    }

    public static void main(String[] args) throws Exception {
        try (PrintWriter out = new PrintWriter(args[0])) {
            out.println("# Kafka 4.4.0's GroupMetadataManager; made by ConsumerGroupTranscripts.java.");
            for (long seed = 1; seed <= 30; seed++) {
                ConsumerGroupTranscripts script = new ConsumerGroupTranscripts(out, seed);
                for (int i = 0; i < 150; i++) script.step();
            }
        }
    }
}
