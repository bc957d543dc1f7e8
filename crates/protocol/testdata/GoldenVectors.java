// Writes the golden vectors of Kafka 4.4.0: every message of every stable version, as Kafka's own serialisers write it.
//
//   java -cp '<kafka>/libs/*' GoldenVectors.java golden
//
// One file an API, one line a message: direction, version, variant, bytes in hex, the fields as Kafka's own JSON.
// Variant "full": every field of the version holds a value of its own, arrays two or one elements.
// Variant "bare": defaults, nulls where the version allows them, empty arrays.
// The schemas inside the kafka-clients jar say which fields a version has; the values are a running count.

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BinaryNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.DoubleNode;
import com.fasterxml.jackson.databind.node.IntNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.LongNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.ShortNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

public class GoldenVectors {
    private static final ObjectMapper JSON = new ObjectMapper().enable(JsonParser.Feature.ALLOW_COMMENTS);

    public static void main(String[] args) throws Exception {
        for (ApiKeys api : ApiKeys.values()) {
            if (!api.hasValidVersion()) {
                continue;
            }
            StringBuilder lines = new StringBuilder();
            for (String direction : new String[] {"Request", "Response"}) {
                write(api, direction, lines);
            }
            Files.writeString(Path.of(args[0], String.format("%02d-%s.txt", api.id, api.messageType.name)), lines);
        }
    }

    private static void write(ApiKeys api, String direction, StringBuilder lines) throws Exception {
        String name = api.messageType.name + direction;
        JsonNode schema = schema(name);
        Map<String, JsonNode> structs = new HashMap<>();
        for (JsonNode struct : schema.path("commonStructs")) {
            structs.put(struct.get("name").asText(), struct.get("fields"));
        }
        for (short version = api.oldestVersion(); version <= api.latestVersion(false); version++) {
            for (boolean full : new boolean[] {true, false}) {
                ObjectNode fields = new Values(structs, version, full).struct(schema.get("fields"));
                Message message = read(name, fields, version);
                lines.append(direction.toLowerCase()).append(' ').append(version).append(' ');
                lines.append(full ? "full " : "bare ").append(hex(message, version)).append(' ');
                lines.append(render(name, message, version)).append('\n');
            }
        }
    }

    private static JsonNode schema(String name) throws IOException {
        try (InputStream in = ApiKeys.class.getResourceAsStream("/common/message/" + name + ".json")) {
            return JSON.readTree(in);
        }
    }

    private static Message read(String name, JsonNode fields, short version) throws Exception {
        Class<?> converter = Class.forName("org.apache.kafka.common.message." + name + "DataJsonConverter");
        return (Message) converter.getMethod("read", JsonNode.class, short.class).invoke(null, fields, version);
    }

    private static JsonNode render(String name, Message message, short version) throws Exception {
        Class<?> converter = Class.forName("org.apache.kafka.common.message." + name + "DataJsonConverter");
        return (JsonNode) converter
            .getMethod("write", message.getClass(), short.class, boolean.class)
            .invoke(null, message, version, true);
    }

    private static String hex(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer bytes = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(bytes), cache, version);
        if (bytes.hasRemaining()) {
            throw new IllegalStateException("size is not what was written");
        }
        return bytes.position() == 0 ? "-" : HexFormat.of().formatHex(bytes.array());
    }

    /** Makes up the fields of one message. */
    private static class Values {
        private final Map<String, JsonNode> structs;
        private final short version;
        private final boolean full;
        private int count = 0;

        Values(Map<String, JsonNode> structs, short version, boolean full) {
            this.structs = structs;
            this.version = version;
            this.full = full;
        }

        ObjectNode struct(JsonNode fields) {
            ObjectNode node = new ObjectNode(JsonNodeFactory.instance);
            for (JsonNode field : fields) {
                boolean tagged = within(field.path("taggedVersions").asText("none"));
                if (within(field.get("versions").asText()) && (full || !tagged)) {
                    String name = field.get("name").asText();
                    node.set(Character.toLowerCase(name.charAt(0)) + name.substring(1), value(field));
                }
            }
            return node;
        }

        private JsonNode value(JsonNode field) {
            String type = field.get("type").asText();
            if (!full && within(field.path("nullableVersions").asText("none"))) {
                return NullNode.instance;
            }
            if (!type.startsWith("[]")) {
                return one(type, field);
            }
            ArrayNode array = new ArrayNode(JsonNodeFactory.instance);
            int length = full ? 2 - count++ % 2 : 0;
            for (int i = 0; i < length; i++) {
                array.add(one(type.substring(2), field));
            }
            return array;
        }

        private JsonNode one(String type, JsonNode field) {
            int n = full ? ++count : 0;
            switch (type) {
                case "bool": return BooleanNode.valueOf(full && !field.path("default").asText("false").equals("true"));
                case "int8": return new ShortNode((short) (n % 100 * (n % 2 == 0 ? 1 : -1)));
                case "int16": return new ShortNode((short) (n * 300 % 30000 * (n % 2 == 0 ? 1 : -1)));
                case "uint16": return new IntNode(full ? 40000 + n : 0);
                case "int32": return new IntNode(n * 7654321);
                case "uint32": return new LongNode(n * 76543210L);
                case "int64": return new LongNode(n * -123456789012345L);
                case "float64": return new DoubleNode(n + 0.25);
                case "uuid": return new TextNode(new Uuid(full ? 0x0123456789abcdefL : 0, full ? n : 0).toString());
                case "string": return new TextNode(full ? "näme-" + n : "");
                case "bytes":
                case "records": return new BinaryNode(full ? new byte[] {(byte) n, 0, '"', (byte) 0xff} : new byte[0]);
                default:
                    return struct(field.has("fields") ? field.get("fields") : structs.get(type));
            }
        }

        private boolean within(String versions) {
            if (versions.equals("none")) {
                return false;
            }
            if (versions.endsWith("+")) {
                return version >= Integer.parseInt(versions.substring(0, versions.length() - 1));
            }
            String[] ends = versions.split("-");
            return version >= Integer.parseInt(ends[0]) && version <= Integer.parseInt(ends[ends.length - 1]);
        }
    }
}
