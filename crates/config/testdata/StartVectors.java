// Makes start.tsv: what Kafka 4.4.0 says to sets of broker settings that do not go together, at its start.
//   javac -cp 'LIBS/*' -d OUT StartVectors.java && java -cp 'LIBS/*:OUT' StartVectors > start.tsv
// A line: key=value pairs parted by blanks, a tab, then ok or the message.

import java.util.Map;
import java.util.TreeMap;
import kafka.server.KafkaConfig;

public class StartVectors {
    static final String[] SETS = {
        "log.roll.ms=0", "log.roll.ms=1", "log.roll.jitter.ms=-1", "log.roll.jitter.ms=0", "log.retention.ms=0", "log.retention.ms=-1", "log.retention.ms=-2", "log.retention.ms=1",
        "log.retention.minutes=0", "log.retention.hours=0", "log.retention.hours=-1",
        "log.cleaner.threads=200", "log.cleaner.dedupe.buffer.size=1000000", "log.cleaner.dedupe.buffer.size=1048577",
        "replica.fetch.wait.max.ms=30001", "replica.socket.timeout.ms=499", "replica.lag.time.max.ms=499",
        "max.connections.per.ip=0", "max.connections.per.ip=0 max.connections.per.ip.overrides=127.0.0.1:5", "max.connections.per.ip.overrides=127.0.0.1:-5",
        "offsets.topic.compression.codec=9", "queued.max.request.bytes=0", "queued.max.request.bytes=5", "queued.max.request.bytes=-1", "queued.max.request.bytes=-2", "queued.max.request.bytes=104857599",
        "group.consumer.max.heartbeat.interval.ms=4999", "group.consumer.heartbeat.interval.ms=4999", "group.consumer.heartbeat.interval.ms=15001",
        "group.consumer.max.session.timeout.ms=44999", "group.consumer.session.timeout.ms=44999", "group.consumer.session.timeout.ms=60001",
        "group.consumer.min.assignment.interval.ms=2000", "group.consumer.assignment.interval.ms=15001", "group.consumer.max.assignment.interval.ms=999", "group.consumer.min.assignment.interval.ms=16000",
        "group.consumer.session.timeout.ms=50000 group.consumer.heartbeat.interval.ms=50000 group.consumer.max.heartbeat.interval.ms=50000",
        "group.consumer.assignors=", "group.consumer.assignors=nope", "group.consumer.assignors=range", "group.consumer.assignors=range,range", "group.consumer.migration.policy=sometimes",
        "group.coordinator.rebalance.protocols=consumer", "group.coordinator.rebalance.protocols=classic", "group.coordinator.rebalance.protocols=classic,classic", "group.coordinator.rebalance.protocols=nope",
        "group.min.session.timeout.ms=7000 group.max.session.timeout.ms=6000", "offsets.commit.timeout.ms=0", "group.max.size=0",
        "compression.type=zstd compression.zstd.level=30", "message.max.bytes=-1", "num.partitions=0", "default.replication.factor=0", "default.replication.factor=-1",
        "min.insync.replicas=2", "advertised.listeners=PLAINTEXT://0.0.0.0:9092", "listeners=PLAINTEXT://127.0.0.1:9092", "inter.broker.listener.name=NOPE", "broker.id=2",
        "log.dirs=", "log.dirs=/a,/a", "log.dir=/a", "log.local.retention.ms=999999999999", "connections.max.idle.ms=-1", "connections.max.idle.ms=0", "socket.request.max.bytes=0",
        "replica.fetch.max.bytes=-1", "controller.quorum.voters=2@h:1", "process.roles=nope", "node.id=-2", "producer.id.expiration.ms=0", "transaction.max.timeout.ms=0",
        // Roles, each with its listeners; "-key" takes a setting out.
        "process.roles=broker", "process.roles=broker listeners=PLAINTEXT://127.0.0.1:9092", "process.roles=broker listeners=PLAINTEXT://127.0.0.1:9092 controller.quorum.voters=2@127.0.0.1:9093",
        "process.roles=broker listeners=PLAINTEXT://127.0.0.1:9092 -controller.quorum.voters", "process.roles=broker listeners=PLAINTEXT://127.0.0.1:9092 -controller.quorum.voters controller.quorum.bootstrap.servers=127.0.0.1:9093",
        "process.roles=broker listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093 controller.quorum.voters=2@127.0.0.1:9093", "process.roles=broker listeners=CONTROLLER://127.0.0.1:9093 controller.quorum.voters=2@127.0.0.1:9093",
        "process.roles=broker listeners=PLAINTEXT://127.0.0.1:9092 controller.quorum.voters=2@127.0.0.1:9093 -controller.listener.names",
        "process.roles=broker listeners=PLAINTEXT://127.0.0.1:9092 controller.quorum.voters=2@127.0.0.1:9093 listener.security.protocol.map=PLAINTEXT:PLAINTEXT",
        "process.roles=broker listeners=PLAINTEXT://127.0.0.1:9092 controller.quorum.voters=2@127.0.0.1:9093 controller.listener.names=CONTROLLER,OTHER",
        "process.roles=controller", "process.roles=controller listeners=CONTROLLER://127.0.0.1:9093", "process.roles=controller listeners=PLAINTEXT://127.0.0.1:9092", "process.roles=controller listeners=CONTROLLER://127.0.0.1:9093 -controller.quorum.voters",
        "process.roles=controller listeners=CONTROLLER://127.0.0.1:9093 -controller.quorum.voters controller.quorum.bootstrap.servers=127.0.0.1:9093", "process.roles=controller listeners=CONTROLLER://127.0.0.1:9093 controller.quorum.voters=2@127.0.0.1:9093",
        "process.roles=controller listeners=CONTROLLER://127.0.0.1:9093 controller.listener.names=OTHER", "process.roles=controller listeners=CONTROLLER://127.0.0.1:9093 controller.listener.names=CONTROLLER,OTHER",
        "process.roles=controller listeners=CONTROLLER://0.0.0.0:9093", "process.roles=controller listeners=CONTROLLER://:9093", "process.roles=controller listeners=CONTROLLER://127.0.0.1:9093 advertised.listeners=CONTROLLER://10.0.0.1:9093",
        "process.roles=controller listeners=CONTROLLER://127.0.0.1:9093 advertised.listeners=PLAINTEXT://10.0.0.1:9093", "process.roles=controller listeners=CONTROLLER://127.0.0.1:9093 inter.broker.listener.name=PLAINTEXT",
        "-controller.quorum.voters", "-controller.quorum.voters controller.quorum.bootstrap.servers=127.0.0.1:9093", "controller.quorum.bootstrap.servers=127.0.0.1:9093", "controller.quorum.voters=2@127.0.0.1:9093,3@127.0.0.1:9094",
        "listeners=CONTROLLER://127.0.0.1:9093", "controller.listener.names=CONTROLLER,OTHER", "controller.listener.names=PLAINTEXT", "process.roles=controller,broker", "process.roles=broker,broker", "process.roles=",
        "controller.quorum.bootstrap.servers=nope", "controller.quorum.bootstrap.servers=h:port", "controller.quorum.auto.join.enable=true", "-controller.quorum.voters controller.quorum.bootstrap.servers=127.0.0.1:9093 controller.quorum.auto.join.enable=true",
        "process.roles=broker listeners=PLAINTEXT://127.0.0.1:9092 -controller.quorum.voters controller.quorum.bootstrap.servers=127.0.0.1:9093 controller.quorum.auto.join.enable=true",
        "principal.builder.class=no.Such", "unknown.key=1", "request.timeout.ms=-1", "initial.broker.registration.timeout.ms=-1", "log.segment.bytes=100",
    };

    public static void main(String[] args) {
        for (String set : SETS) {
            Map<String, String> settings = new TreeMap<>(Map.of("process.roles", "broker,controller", "node.id", "1", "controller.listener.names", "CONTROLLER",
                "listeners", "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093", "controller.quorum.voters", "1@127.0.0.1:9093", "log.dirs", "/data"));
            for (String pair : set.split(" ")) {
                if (pair.startsWith("-")) settings.remove(pair.substring(1));
                else settings.put(pair.substring(0, pair.indexOf('=')), pair.substring(pair.indexOf('=') + 1));
            }
            String verdict = "ok";
            try {
                new KafkaConfig(settings, false);
            } catch (Throwable e) {
                verdict = String.valueOf(e.getMessage()).replace("\n", "\\n");
            }
            System.out.println(set + "\t" + verdict);
        }
    }
}
