// Makes the vectors beside this file from Kafka's own classes:
//   java -cp 'KAFKA_4.4.0/libs/*' ConsumerGroupVectors.java OUTPUT_DIRECTORY
// Maps and sets are given in sorted order, so that the assignors (which follow iteration order) have one answer.

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.*;
import java.util.stream.Collectors;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.coordinator.common.runtime.CoordinatorMetadataDelta;
import org.apache.kafka.coordinator.common.runtime.CoordinatorMetadataImage;
import org.apache.kafka.coordinator.group.Utils;
import org.apache.kafka.coordinator.group.api.assignor.*;
import org.apache.kafka.coordinator.group.assignor.*;
import org.apache.kafka.coordinator.group.modern.*;

public class ConsumerGroupVectors {
    record Topic(long id, int partitions) { }

    record Member(String id, String instance, TreeSet<Long> subscribed, TreeMap<Long, TreeSet<Integer>> assigned) { }

    public static void main(String[] args) throws IOException {
        Path dir = Path.of(args[0]);
        try (PrintWriter out = new PrintWriter(dir.resolve("assignor_vectors.txt").toFile())) {
            out.println("# Kafka 4.4.0's assignors; made by ConsumerGroupVectors.java.");
            out.println("# case <assignor> <subscription type> / topic <id> <partitions>");
            out.println("# member <id> <instance or -> <topic,..> <topic:partition,..;..> => <topic:partition,..;..>");
            Random random = new Random(848);
            for (int i = 0; i < 60; i++) sequence(out, random, "uniform", true);
            for (int i = 0; i < 60; i++) sequence(out, random, "uniform", false);
            for (int i = 0; i < 20; i++) sequence(out, random, "range", true);
            for (int i = 0; i < 20; i++) sequence(out, random, "range", false);
        }
        try (PrintWriter out = new PrintWriter(dir.resolve("metadata_hash_vectors.txt").toFile())) {
            hashes(out);
        }
        try (PrintWriter out = new PrintWriter(dir.resolve("regex_vectors.txt").toFile())) {
            regexes(out);
        }
    }

    // A group that changes three times: each target assignment is the next one's input.
    static void sequence(PrintWriter out, Random random, String assignor, boolean homogeneous) {
        TreeMap<Long, Topic> topics = new TreeMap<>();
        for (long id = 1; id <= 1 + random.nextInt(5); id++) topics.put(id, new Topic(id, 1 + random.nextInt(12)));
        TreeMap<String, Member> members = new TreeMap<>();
        int count = 1 + random.nextInt(6);
        for (int m = 0; m < count; m++) join(members, topics, random, homogeneous);
        for (int round = 0; round < 3; round++) {
            assign(out, assignor, homogeneous, topics, members);
            change(members, topics, random, homogeneous);
        }
    }

    static void join(TreeMap<String, Member> members, TreeMap<Long, Topic> topics, Random random, boolean homogeneous) {
        String id = "m" + random.nextInt(1000);
        if (members.containsKey(id)) return;
        String instance = random.nextInt(4) == 0 ? "i" + random.nextInt(100) : null;
        members.put(id, new Member(id, instance, topicsOf(topics, random, homogeneous), new TreeMap<>()));
    }

    static TreeSet<Long> topicsOf(TreeMap<Long, Topic> topics, Random random, boolean homogeneous) {
        return topics.keySet().stream().filter(t -> homogeneous || random.nextInt(3) > 0)
            .collect(Collectors.toCollection(TreeSet::new));
    }

    static void change(TreeMap<String, Member> members, TreeMap<Long, Topic> topics, Random random, boolean homogeneous) {
        int what = random.nextInt(4);
        if (what == 0 && members.size() > 1) {
            members.pollFirstEntry();
        } else if (what == 1) {
            Topic first = topics.firstEntry().getValue();
            topics.put(first.id(), new Topic(first.id(), first.partitions() + 1 + random.nextInt(4)));
        } else if (what == 2 && topics.size() > 1) {
            long gone = topics.pollLastEntry().getKey();
            members.values().forEach(m -> m.subscribed().remove(gone));
        } else {
            for (int i = 0; i <= random.nextInt(3); i++) join(members, topics, random, homogeneous);
        }
    }

    static void assign(PrintWriter out, String name, boolean homogeneous, TreeMap<Long, Topic> topics, TreeMap<String, Member> members) {
        SubscriptionType type = homogeneous ? SubscriptionType.HOMOGENEOUS : SubscriptionType.HETEROGENEOUS;
        Map<String, MemberSubscriptionAndAssignmentImpl> specs = new LinkedHashMap<>();
        Map<Uuid, Map<Integer, String>> inverted = new HashMap<>();
        members.forEach((id, m) -> {
            TreeMap<Uuid, Set<Integer>> assigned = new TreeMap<>();
            m.assigned().forEach((t, ps) -> {
                assigned.put(new Uuid(0, t), new TreeSet<>(ps));
                ps.forEach(p -> inverted.computeIfAbsent(new Uuid(0, t), k -> new HashMap<>()).put(p, id));
            });
            Set<Uuid> subscribed = m.subscribed().stream().map(t -> new Uuid(0, t))
                .collect(Collectors.toCollection(TreeSet::new));
            specs.put(id, new MemberSubscriptionAndAssignmentImpl(
                Optional.empty(), Optional.ofNullable(m.instance()), subscribed, new Assignment(assigned)));
        });
        SubscribedTopicDescriber describer = new SubscribedTopicDescriber() {
            public int numPartitions(Uuid id) {
                Topic topic = topics.get(id.getLeastSignificantBits());
                return topic == null ? -1 : topic.partitions();
            }

            public Set<String> racksForPartition(Uuid id, int partition) {
                return Set.of();
            }
        };
        PartitionAssignor assignor = name.equals("uniform") ? new UniformAssignor() : new RangeAssignor();
        GroupAssignment result = assignor.assign(new GroupSpecImpl(specs, type, inverted), describer);
        out.println("case " + name + " " + (homogeneous ? "homogeneous" : "heterogeneous"));
        topics.values().forEach(t -> out.println("topic " + t.id() + " " + t.partitions()));
        members.forEach((id, m) -> {
            MemberAssignment assigned = result.members().get(id);
            TreeMap<Long, TreeSet<Integer>> target = new TreeMap<>();
            if (assigned != null) {
                assigned.partitions().forEach((t, ps) -> {
                    if (!ps.isEmpty()) target.put(t.getLeastSignificantBits(), new TreeSet<>(ps));
                });
            }
            String subscribed = m.subscribed().stream().map(Object::toString).collect(Collectors.joining(","));
            out.println("member " + id + " " + (m.instance() == null ? "-" : m.instance()) + " " + dash(subscribed)
                + " " + text(m.assigned()) + " => " + text(target));
            members.put(id, new Member(id, m.instance(), m.subscribed(), target));
        });
        out.println();
    }

    static String text(TreeMap<Long, TreeSet<Integer>> assignment) {
        return dash(assignment.entrySet().stream()
            .map(e -> e.getKey() + ":" + e.getValue().stream().map(Object::toString).collect(Collectors.joining(",")))
            .collect(Collectors.joining(";")));
    }

    static String dash(String text) {
        return text.isEmpty() ? "-" : text;
    }

    record HashTopic(String name, Uuid id, int partitionCount, List<List<String>> racks)
        implements CoordinatorMetadataImage.TopicMetadata {
        public List<String> partitionRacks(int partition) {
            return new ArrayList<>(racks.get(partition));
        }
    }

    static void hashes(PrintWriter out) {
        out.println("# Kafka 4.4.0's Utils.computeTopicHash and computeGroupHash; made by ConsumerGroupVectors.java.");
        out.println("# topic <name> <id> <partition count> <racks, by partition: a,b|c> <hash> / group <hash of all>");
        Map<String, HashTopic> topics = new TreeMap<>();
        Random random = new Random(1101);
        String[] names = {"a", "orders", "__consumer_offsets", "x".repeat(249)};
        for (String name : names) {
            List<List<String>> racks = new ArrayList<>();
            for (int p = 0; p < 1 + random.nextInt(40); p++) {
                List<String> of = new ArrayList<>();
                for (int r = 0; r < random.nextInt(4); r++) of.add("rack-" + random.nextInt(9));
                racks.add(of);
            }
            topics.put(name, new HashTopic(name, new Uuid(random.nextLong(), random.nextLong()), racks.size(), racks));
        }
        CoordinatorMetadataImage image = new CoordinatorMetadataImage() {
            public Set<Uuid> topicIds() { return Set.of(); }
            public Set<String> topicNames() { return topics.keySet(); }
            public Optional<TopicMetadata> topicMetadata(String name) { return Optional.ofNullable(topics.get(name)); }
            public Optional<TopicMetadata> topicMetadata(Uuid id) { return Optional.empty(); }
            public CoordinatorMetadataDelta emptyDelta() { return null; }
            public long version() { return 0; }
            public boolean isEmpty() { return false; }
        };
        Map<String, Long> hashes = new HashMap<>();
        topics.forEach((name, t) -> {
            long hash = Utils.computeTopicHash(name, image);
            hashes.put(name, hash);
            String racks = t.racks().stream().map(r -> String.join(",", r)).collect(Collectors.joining("|"));
            out.println("topic " + name + " " + t.id() + " " + t.partitionCount() + " /" + racks + " " + hash);
        });
        out.println("group " + Utils.computeGroupHash(hashes));
    }

    static void regexes(PrintWriter out) {
        out.println("# RE2/J as Kafka 4.4.0 uses it; made by ConsumerGroupVectors.java. Fields are separated by tabs.");
        out.println("# match <expression> <names that match whole, by space> / error <expression> <description>");
        String[] names = {"a", "ab", "abc", "foo", "foobar", "orders-12", "orders.eu", "A_B", "[x", "a&b", "~", "]a", "x{,2}"};
        String[] expressions = {"foo", "foo.*", "a|ab", "(a|b)+c?", "^orders-\\d+$", "orders\\.\\w+", "(?i)a_b", "\\Qorders.eu\\E",
            "\\Qorders.e\\Eu", "\\Qa", "[[a]x", "[]a]+", "[^]x]+", "[a&&b]+", "[~]", "[[:alpha:]]+", "\\pL+", "\\p{Greek}",
            "x{,2}", "x\\{,2\\}", "(?P<n>a)b", "(?<n>a)b", "a{1,2}b", ".*", "", "\\Aab\\z", "a\\b", "[\\w&&b]+", "a{1001}",
            "(", "a)", "a)|(b", "[a", "*a", "a**", "a{2,1}", "\\1", "a\\", "(?=a)", "(?x) a", "[b-a]", "\\pX", "(?P<n>a)(?P<n>b)",
            "(?P<1", "x{", "a++", "a{2}{3}", "\\8", "\\C", "\\Z", "[a-\\d]", "(?z)"};
        for (String expression : expressions) regex(out, expression, names);
        String[] pieces = {"a", "b", "ab", "foo", "-", ".", "*", "+", "?", "*?", "{2}", "{1,2}", "{,2}", "{1,}", "{2,1}", "{", "}", "(", "(", "(?:",
            "(?i)", "(?i:", "(?s)", "(?-s:", "(?U)", "(?P<n>", "(?<m>", "(?P<1>", "(?P=n)", "(?=", ")", ")", ")", "|", "|", "[", "[^", "]",
            "a-b", "[:alpha:]", "[[:alpha:]]", "[[:^digit:]]", "[[:wrong:]]", "\\d", "\\D", "\\w", "\\W", "\\s", "\\S", "\\b", "\\B", "\\A",
            "\\z", "\\Z", "\\Q", "\\E", "\\.", "\\-", "\\_", "\\a", "\\n", "\\t", "\\v", "\\e", "\\x61", "\\x{61}", "\\x{110000}", "\\x6", "\\141", "\\0",
            "\\1", "\\pL", "\\p{L}", "\\p{^L}", "\\PL", "\\p{Lu}", "\\p{Han}", "\\p{N", "\\k<n>", "^", "$", "&&", "~~", "--", "\\"};
        Random random = new Random(2);
        Set<String> all = new LinkedHashSet<>();
        while (all.size() < 1500) {
            StringBuilder expression = new StringBuilder();
            for (int i = 0; i < 2 + random.nextInt(5); i++) expression.append(pieces[random.nextInt(pieces.length)]);
            all.add(expression.toString());
        }
        for (String expression : all) regex(out, expression, names);
    }

    static void regex(PrintWriter out, String expression, String[] names) {
        try {
            com.google.re2j.Pattern pattern = com.google.re2j.Pattern.compile(expression);
            String matched = Arrays.stream(names).filter(n -> pattern.matcher(n).matches()).collect(Collectors.joining(" "));
            out.println("match\t" + expression + "\t" + matched);
        } catch (com.google.re2j.PatternSyntaxException e) {
            out.println("error\t" + expression + "\t" + e.getDescription());
        } catch (RuntimeException e) {
            out.println("thrown\t" + expression + "\t" + e.getClass().getSimpleName());
        }
    }
}
