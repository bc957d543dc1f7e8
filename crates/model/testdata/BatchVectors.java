// Makes batches.txt beside this file from Kafka's own classes:
//   java -cp 'KAFKA_4.4.0/libs/*' BatchVectors.java make > batches.txt
// Reads lines of the same form from standard input and prints the records that Kafka's classes find in them:
//   java -cp 'KAFKA_4.4.0/libs/*' BatchVectors.java read < OURS
// A line is a name and the hexadecimal bytes of one batch.

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Scanner;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.*;
import org.apache.kafka.common.utils.Utils;

public class BatchVectors {
    static final byte V2 = RecordBatch.MAGIC_VALUE_V2;

    public static void main(String[] args) {
        if (args[0].equals("read")) read(); else make();
    }

    static void make() {
        for (CompressionType type : CompressionType.values()) {
            Compression codec = Compression.of(type.name).build();
            MemoryRecordsBuilder small = builder(codec, TimestampType.CREATE_TIME, -1, -1L, (short) -1, -1, false, false);
            records(small);
            print("small-" + type.name, small);
            if (type == CompressionType.NONE) continue;
            // More than a block of xerial's snappy (32 KiB) and of LZ4 (64 KiB).
            MemoryRecordsBuilder large = builder(codec, TimestampType.CREATE_TIME, -1, -1L, (short) -1, -1, false, false);
            large.append(5L, null, largeValue());
            print("large-" + type.name, large);
        }
        MemoryRecordsBuilder appendTime = builder(Compression.NONE, TimestampType.LOG_APPEND_TIME, 99_000L, -1L, (short) -1, -1, false, false);
        records(appendTime);
        print("log-append-time", appendTime);
        MemoryRecordsBuilder transactional = builder(Compression.NONE, TimestampType.CREATE_TIME, -1, 4_000L, (short) 3, Integer.MAX_VALUE - 1, true, false);
        records(transactional);
        print("transactional", transactional);
        MemoryRecordsBuilder marker = builder(Compression.NONE, TimestampType.CREATE_TIME, -1, 4_000L, (short) 3, -1, true, true);
        marker.appendEndTxnMarker(77L, new EndTransactionMarker(ControlRecordType.COMMIT, 12));
        print("commit-marker", marker);
    }

    static MemoryRecordsBuilder builder(Compression codec, TimestampType kind, long appendTime, long producerId,
            short epoch, int sequence, boolean transactional, boolean control) {
        return new MemoryRecordsBuilder(ByteBuffer.allocate(1 << 18), V2, codec, kind, 1_000L, appendTime, producerId,
            epoch, sequence, transactional, control, 7, 1 << 18);
    }

    static void records(MemoryRecordsBuilder builder) {
        builder.append(1_000L, bytes("first"), bytes("value"), new Header[0]);
        builder.append(1_017L, null, bytes("no key"), new Header[0]);
        builder.append(1_034L, bytes("tombstone"), null, new Header[0]);
        builder.append(990L, bytes(""), bytes(""), new Header[] {
            new RecordHeader("h", bytes("1")), new RecordHeader("h", bytes("2")), new RecordHeader("none", (byte[]) null)});
        builder.append(5_000_000_000L, bytes("last"), bytes("x".repeat(200)), new Header[0]);
    }

    static byte[] largeValue() {
        byte[] value = new byte[100_000];
        for (int i = 0; i < value.length; i++) value[i] = (byte) (i / 100);
        return value;
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static void print(String name, MemoryRecordsBuilder builder) {
        System.out.println(name + " " + HexFormat.of().formatHex(Utils.toArray(builder.build().buffer())));
    }

    static void read() {
        for (Scanner lines = new Scanner(System.in); lines.hasNext();) {
            String name = lines.next();
            MemoryRecords records = MemoryRecords.readableRecords(ByteBuffer.wrap(HexFormat.of().parseHex(lines.next())));
            for (MutableRecordBatch batch : records.batches()) {
                batch.ensureValid();
                System.out.println(name + " " + batch);
                for (var record : batch) {
                    record.ensureValid();
                    System.out.println("  " + record.offset() + " " + record.timestamp() + " " + text(record.key()) + " "
                        + text(record.value()) + " " + java.util.Arrays.toString(record.headers()));
                }
            }
        }
    }

    static String text(ByteBuffer buffer) {
        if (buffer == null) return "null";
        byte[] bytes = Utils.toArray(buffer);
        return bytes.length > 40 ? bytes.length + " bytes " + java.util.Arrays.hashCode(bytes) : "\"" + new String(bytes, StandardCharsets.UTF_8) + "\"";
    }
}
