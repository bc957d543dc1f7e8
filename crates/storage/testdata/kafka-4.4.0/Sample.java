import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.*;
public class Sample {
  public static void main(String[] a) throws Exception {
    String bs = "127.0.0.1:39192";
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", bs))) {
      NewTopic t = new NewTopic("sample", 1, (short)1).configs(Map.of("segment.ms","150000","retention.ms","-1", "index.interval.bytes", "1024"));
      NewTopic tx = new NewTopic("txn", 1, (short)1);
      admin.createTopics(List.of(t, tx)).all().get();
    }
    long ts = 1700000000000L;
    Random r = new Random(1);
    for (String codec : new String[]{"none","gzip","snappy","lz4","zstd"}) {
      Properties p = new Properties();
      p.put("bootstrap.servers", bs); p.put("compression.type", codec); p.put("batch.size", "2000"); p.put("linger.ms","20");
      try (KafkaProducer<byte[],byte[]> prod = new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer())) {
        for (int i = 0; i < 100; i++) {
          byte[] v = new byte[codec.equals("none") ? 60 : 90]; for (int k = 0; k < v.length; k++) v[k] = (byte)('a' + r.nextInt(4));
          prod.send(new ProducerRecord<>("sample", 0, ts + i * 1000 - (i % 7) * 1500, ("k" + i).getBytes(), v));
          if (i % 20 == 19) prod.flush();
        }
        prod.flush();
      }
      ts += 200000;
    }
    Properties p = new Properties();
    p.put("bootstrap.servers", bs); p.put("transactional.id", "tx1");
    try (KafkaProducer<byte[],byte[]> prod = new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer())) {
      prod.initTransactions();
      for (int t = 0; t < 4; t++) {
        prod.beginTransaction();
        for (int i = 0; i < 3; i++) prod.send(new ProducerRecord<>("txn", 0, ts, ("k" + i).getBytes(), ("v" + t).getBytes())).get();
        if (t % 2 == 0) prod.commitTransaction(); else prod.abortTransaction();
      }
    }
  }
}
