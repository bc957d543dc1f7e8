// Makes properties.tsv: what java.util.Properties reads from nasty files.
//   javac -d OUT PropertiesVectors.java && java -cp OUT PropertiesVectors > properties.tsv
// A line: the file in hex, a tab, then the pairs as hexkey=hexvalue (UTF-8), sorted, or the word error.

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Properties;
import java.util.Random;
import java.util.TreeMap;

public class PropertiesVectors {
    static final String[] BY_HAND = {
        "", "\n", "a", "a=", "=a", ":", "a b", "a = b", "a : b", "a:b=c", "a = = b", "a  \t b", "a\\ b=c", "a\\=b=c", "a\\:b:c",
        "# comment", "  ! comment\na=1", "#c \\\na=1", "a=#not", "a=1#2", "a=1\\\n  2", "a=1\\\n\n2=3", "a=1\\\r\n\t2", "a=1\\\r2", "a=1\\",
        "a=1\\\\", "a=1\\\\\nb=2", "a=1\\\\\\\nb=2", "a=\\t\\n\\r\\f\\x", "a=\\u0041\\u00e9", "a=\\uD83D\\uDE00", "a=\\u004", "a=\\u00g1", "a=1\na=2",
        "a=1\\\n#2", "a=1\\\n   ", "\\\na=1", "\\\n\\\n", "   \\\n  a=1", "a\\\n=1", "a=\u00e9", "\u00e9=1", "a=b  ", "a= b\t", "a\fb", "a=\\ b", "listeners=PLAINTEXT://:9092,\\\n  CONTROLLER://:9093\n",
        "a=1\r\nb=2\rc=3\n\r\nd=4", "a=1\\\n\\\n2", "a=1\\\n \\\n 2", "a=\\\n\\\nb", "log.dirs=C:\\\\data\\ttmp", "key\\u003d=v", "a=\u0000b", "!\\", "#\\", "a\\", "\\u0023a=1", "\\#a=1", "a==", "a:=", "a =:b"
    };
    static final String[] PIECES = {
        "a", "b", "key", "value", "=", ":", " ", "\t", "\f", "\n", "\r", "\r\n", "\\", "\\\\", "\\\n", "\\\r\n", "#", "!", "\\u0041", "\\u00", "\\n", "\u00e9", "\\=", "\\ ", "  ", "1"
    };

    public static void main(String[] args) {
        for (String text : BY_HAND) print(text);
        Random random = new Random(44);
        for (int i = 0; i < 700; i++) {
            StringBuilder text = new StringBuilder();
            int pieces = 1 + random.nextInt(14);
            for (int j = 0; j < pieces; j++) text.append(PIECES[random.nextInt(PIECES.length)]);
            print(text.toString());
        }
    }

    static void print(String text) {
        byte[] file = text.getBytes(StandardCharsets.ISO_8859_1);
        HexFormat hex = HexFormat.of();
        System.out.println(hex.formatHex(file) + "\t" + read(file, hex));
    }

    static String read(byte[] file, HexFormat hex) {
        Properties properties = new Properties();
        try {
            properties.load(new ByteArrayInputStream(file));
        } catch (Exception e) {
            return "error";
        }
        TreeMap<String, String> sorted = new TreeMap<>();
        for (String name : properties.stringPropertyNames())
            sorted.put(hex.formatHex(name.getBytes(StandardCharsets.UTF_8)), hex.formatHex(properties.getProperty(name).getBytes(StandardCharsets.UTF_8)));
        StringBuilder out = new StringBuilder();
        sorted.forEach((k, v) -> out.append(out.length() == 0 ? "" : ",").append(k).append('=').append(v));
        return out.toString();
    }
}
