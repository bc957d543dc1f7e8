// Makes validation.tsv: what Kafka 4.4.0 says to single values of its settings.
//   javac -cp 'LIBS/*' -d OUT ValidationVectors.java && java -cp 'LIBS/*:OUT' ValidationVectors > validation.tsv
// LIBS holds Kafka's server jars. A line: scope, key, value, then ok or the message; \n, \t and \\ are escaped.

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.coordinator.group.GroupConfig;
import org.apache.kafka.server.metrics.ClientMetricsConfigs;
import org.apache.kafka.storage.internals.log.LogConfig;

public class ValidationVectors {
    static final String[] NUMBERS = { "abc", "", " 5 ", "-1", "0", "1", "2147483648", "9223372036854775808", "1.5", "+7", "1_000" };
    static final String[] DOUBLES = { "abc", "", "0", "1", "0.5", "-0.1", "1.5", "1e3", "NaN", "inf", "Infinity", " .25 " };
    static final String[] BOOLEANS = { "true", "FALSE", " True ", "yes", "", "1" };
    static final String[] WORDS = { "", " ", "producer", "gzip", " zstd ", "GZIP", "none", "CreateTime", "createtime", "read_committed", "latest", "earliest",
        "by_duration:PT1H", "by_duration:P1DT2H3M4.5S", "by_duration:-PT1H", "by_duration:", "by_duration:1h", "by_duration:PT0S", "by_duration:PT-1H", "by_duration:pt1h", "by_duration:P", "by_duration:PT", "by_duration:P1D", "by_duration:PT1M1H", "by_duration:PT1,5S", "by_duration:-PT-1H", "upgrade", "Upgrade", "x" };
    static final String[] LISTS = { "", " ", "compact", "compact,delete", "delete , compact", "compact,compact", "COMPACT", "a", "a,b", "a,a", ",", "a,", ",a", "a,,b", "*", "*,*", "0:1",
        "0:1, 1:2", "0:x", "0", "0:1:2", "*,0:1", "0-1", "1@h:1", "1@h", "x@h:1", "1@h:x", "1@a@b", "1@[::1]:9", "http://h:1", "*,", "h:1", "h:1,g:2", "broker", "broker,controller" };

    public static void main(String[] args) {
        all("topic", LogConfig.configDefCopy());
        all("group", GroupConfig.CONFIG_DEF);
        all("client-metrics", ClientMetricsConfigs.configDef());
        all("broker", kafka.server.KafkaConfig.configDef());
    }

    static void all(String scope, ConfigDef definitions) {
        Set<String> seen = new HashSet<>();
        for (ConfigDef.ConfigKey key : new TreeMap<>(definitions.configKeys()).values()) {
            // Of the many broker keys, one of each type and validator.
            String kind = key.type + " " + (key.validator == null ? "" : key.validator.getClass() + " " + key.validator);
            if (scope.equals("broker") && !seen.add(kind)) continue;
            for (String value : candidates(key)) System.out.println(scope + "\t" + key.name + "\t" + escape(value) + "\t" + escape(verdict(key, value)));
        }
    }

    static List<String> candidates(ConfigDef.ConfigKey key) {
        List<String> out = new ArrayList<>();
        switch (key.type) {
            case BOOLEAN -> out.addAll(List.of(BOOLEANS));
            case INT, LONG, SHORT -> { out.addAll(List.of(NUMBERS)); addBounds(key, out); }
            case DOUBLE -> out.addAll(List.of(DOUBLES));
            case LIST -> out.addAll(List.of(LISTS));
            case STRING, CLASS, PASSWORD -> out.addAll(List.of(WORDS));
        }
        return out;
    }

    /** One below and above each number in a range like [1,...,9]. */
    static void addBounds(ConfigDef.ConfigKey key, List<String> out) {
        if (key.validator == null) return;
        Matcher bounds = Pattern.compile("-?[0-9]+").matcher(key.validator.toString());
        while (bounds.find()) {
            long n = Long.parseLong(bounds.group());
            for (long near : new long[] { n - 1, n, n + 1 }) if (!out.contains("" + near)) out.add("" + near);
        }
    }

    static String verdict(ConfigDef.ConfigKey key, String value) {
        try {
            if (key.type == ConfigDef.Type.CLASS) return "ok";
            ConfigDef alone = new ConfigDef();
            alone.define(key.name, key.type, key.hasDefault() ? key.defaultValue : ConfigDef.NO_DEFAULT_VALUE, key.validator, key.importance, key.documentation);
            // Lists lose their duplicates on the way (KIP-1161).
            alone.parse(Map.of(key.name, value));
            return "ok";
        } catch (Exception e) {
            return e.getMessage();
        }
    }

    static String escape(String text) {
        return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n");
    }
}
