// Makes groups.tsv: what Kafka 4.4.0 says to sets of group settings, with the broker's own settings at their defaults.
//   javac -cp 'LIBS/*' -d OUT GroupVectors.java && java -cp 'LIBS/*:OUT' GroupVectors > groups.tsv
// A line: key=value pairs parted by blanks, a tab, then ok or the message.

import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.coordinator.group.GroupConfig;
import org.apache.kafka.coordinator.group.GroupCoordinatorConfig;
import org.apache.kafka.coordinator.group.modern.share.ShareGroupConfig;

public class GroupVectors {
    static final String[] SETS = {
        "consumer.session.timeout.ms=45000", "consumer.session.timeout.ms=44999", "consumer.session.timeout.ms=60001", "consumer.session.timeout.ms=x",
        "consumer.heartbeat.interval.ms=5000", "consumer.heartbeat.interval.ms=4999", "consumer.heartbeat.interval.ms=15001",
        "consumer.assignment.interval.ms=0", "consumer.assignment.interval.ms=15001", "consumer.nothing=1",
        "share.session.timeout.ms=1", "share.heartbeat.interval.ms=4999", "share.record.lock.duration.ms=14999", "share.record.lock.duration.ms=60001",
        "share.delivery.count.limit=11", "share.delivery.count.limit=2", "share.partition.max.record.locks=4001", "share.assignment.interval.ms=15001",
        "share.isolation.level=read_committed", "share.auto.offset.reset=earliest", "share.renew.acknowledge.enable=maybe",
        "streams.session.timeout.ms=60001", "streams.heartbeat.interval.ms=15001", "streams.num.standby.replicas=3", "streams.num.standby.replicas=2",
        "streams.assignment.interval.ms=15001", "streams.initial.rebalance.delay.ms=0", "streams.assignor.name=sticky", "streams.assignor.name=other",
        "errors.deadletterqueue.topic.name=__x", "errors.deadletterqueue.topic.name=x", "errors.deadletterqueue.copy.record.enable=true",
        "consumer.session.timeout.ms=50000 consumer.heartbeat.interval.ms=6000", "streams.num.warmup.replicas=21", "streams.task.offset.interval.ms=1"
    };

    public static void main(String[] args) {
        AbstractConfig broker = new AbstractConfig(kafka.server.KafkaConfig.configDef(), Map.of("process.roles", "broker,controller", "node.id", "1", "controller.listener.names", "C"), false);
        GroupCoordinatorConfig groups = new GroupCoordinatorConfig(broker);
        ShareGroupConfig shares = new ShareGroupConfig(broker);
        for (String set : SETS) {
            Map<String, String> settings = new TreeMap<>();
            for (String pair : set.split(" ")) settings.put(pair.substring(0, pair.indexOf('=')), pair.substring(pair.indexOf('=') + 1));
            String verdict = "ok";
            try {
                GroupConfig.validate(settings, groups, shares);
            } catch (Exception e) {
                verdict = e.getMessage();
            }
            System.out.println(set + "\t" + verdict);
        }
    }
}
