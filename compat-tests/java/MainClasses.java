import java.io.File;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;

/** Prints the classes with a {@code main} of the jars whose file names begin with one of the arguments. */
public final class MainClasses {
    public static void main(String[] prefixes) throws Exception {
        List<String> found = new ArrayList<>();
        for (String path : System.getProperty("java.class.path").split(File.pathSeparator)) {
            for (String prefix : prefixes) {
                if (new File(path).getName().startsWith(prefix)) {
                    addMains(new File(path), found);
                }
            }
        }
        Collections.sort(found);
        found.forEach(System.out::println);
    }

    private static void addMains(File jar, List<String> found) throws Exception {
        try (JarFile file = new JarFile(jar)) {
            for (JarEntry entry : Collections.list(file.entries())) {
                String path = entry.getName();
                if (path.endsWith(".class") && !path.contains("$") && !path.equals("module-info.class")) {
                    String name = path.substring(0, path.length() - ".class".length()).replace('/', '.');
                    if (hasMain(name)) {
                        found.add(name);
                    }
                }
            }
        }
    }

    private static boolean hasMain(String name) {
        try {
            Class<?> type = Class.forName(name, false, MainClasses.class.getClassLoader());
            return Modifier.isStatic(type.getMethod("main", String[].class).getModifiers());
        } catch (NoSuchMethodException | ClassNotFoundException | LinkageError none) {
            return false;
        }
    }
}
