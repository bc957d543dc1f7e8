import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.security.Permission;
import java.util.HexFormat;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs the official tools' {@code main} methods inside one JVM, because starting a JVM costs a tool more than its work.
 *
 * <p>Request, one line on stdin: {@code id TAB main-class TAB hex(arg)[,hex(arg)...] TAB hex(stdin)}. Answer, one line
 * on stdout: {@code id TAB exit-code TAB hex(stdout) TAB hex(stderr)}. Calls run concurrently, except that two calls of
 * the same class wait for each other (some tools keep static counters). End of stdin ends the process.
 */
public final class ToolRunner {
    private static final InheritableThreadLocal<Call> CURRENT = new InheritableThreadLocal<>();
    private static final PrintStream ANSWERS =
            new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
    private static final Map<String, Object> CLASS_LOCKS = new ConcurrentHashMap<>();
    private static final HexFormat HEX = HexFormat.of();

    /** What one call prints and reads; threads that the tool starts inherit it. */
    private static final class Call {
        final ByteArrayOutputStream out = new ByteArrayOutputStream();
        final ByteArrayOutputStream err = new ByteArrayOutputStream();
        final InputStream in;
        final Queue<Runnable> hooks = new ConcurrentLinkedQueue<>();
        volatile Integer exitCode;

        Call(byte[] stdin) {
            this.in = new ByteArrayInputStream(stdin);
        }
    }

    /** Unwinds a tool that called Exit; an Error, so that a tool's {@code catch (Exception)} lets it through. */
    private static final class ToolExit extends Error {
        ToolExit() {
            super("tool exit", null, false, false);
        }
    }

    /** Argument parsers end the JVM of a tool that is called wrongly, past Kafka's own Exit. */
    @SuppressWarnings("removal")
    private static final class ExitTrap extends SecurityManager {
        @Override
        public void checkExit(int code) {
            if (CURRENT.get() != null) {
                exit(code);
            }
        }

        @Override
        public void checkPermission(Permission permission) {}

        @Override
        public void checkPermission(Permission permission, Object context) {}
    }

    @SuppressWarnings("removal")
    public static void main(String[] args) throws Exception {
        System.setSecurityManager(new ExitTrap());
        System.setOut(new PrintStream(new Demux(true), true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(new Demux(false), true, StandardCharsets.UTF_8));
        System.setIn(new DemuxInput());
        Exit.setExitProcedure((code, message) -> exit(code));
        Exit.setHaltProcedure((code, message) -> exit(code));
        Exit.setShutdownHookAdder((name, hook) -> CURRENT.get().hooks.add(hook));

        BufferedReader requests =
                new BufferedReader(new InputStreamReader(new java.io.FileInputStream(FileDescriptor.in)));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            String[] request = line.split("\t", -1);
            Thread thread = new Thread(() -> serve(request), "call-" + request[0]);
            thread.setDaemon(true);
            thread.start();
        }
        Runtime.getRuntime().halt(0);
    }

    private static void exit(int code) {
        Call call = CURRENT.get();
        if (call != null && call.exitCode == null) {
            call.exitCode = code;
        }
        throw new ToolExit();
    }

    private static void serve(String[] request) {
        Call call = new Call(HEX.parseHex(request[3]));
        CURRENT.set(call);
        synchronized (CLASS_LOCKS.computeIfAbsent(request[1], name -> new Object())) {
            run(call, request[1], arguments(request[2]));
            runHooks(call);
        }
        System.out.flush();
        System.err.flush();
        int code = call.exitCode == null ? 0 : call.exitCode;
        synchronized (ANSWERS) {
            ANSWERS.println(request[0] + "\t" + code + "\t" + HEX.formatHex(call.out.toByteArray()) + "\t"
                    + HEX.formatHex(call.err.toByteArray()));
        }
    }

    private static String[] arguments(String field) {
        if (field.isEmpty()) {
            return new String[0];
        }
        String[] encoded = field.split(",", -1);
        String[] arguments = new String[encoded.length];
        for (int i = 0; i < encoded.length; i++) {
            arguments[i] = new String(HEX.parseHex(encoded[i]), StandardCharsets.UTF_8);
        }
        return arguments;
    }

    private static void run(Call call, String mainClass, String[] arguments) {
        try {
            Class.forName(mainClass).getMethod("main", String[].class).invoke(null, (Object) arguments);
        } catch (InvocationTargetException thrown) {
            uncaught(call, thrown.getCause());
        } catch (Throwable thrown) {
            uncaught(call, thrown);
        }
    }

    /** What the JVM does when a tool exits: the console producer flushes in its hook. */
    private static void runHooks(Call call) {
        for (Runnable hook : call.hooks) {
            try {
                hook.run();
            } catch (Throwable thrown) {
                thrown.printStackTrace();
            }
        }
    }

    /** What the JVM does when {@code main} throws: the trace on stderr and exit code 1. */
    private static void uncaught(Call call, Throwable thrown) {
        if (thrown instanceof ToolExit) {
            return;
        }
        System.err.print("Exception in thread \"main\" ");
        thrown.printStackTrace();
        if (call.exitCode == null) {
            call.exitCode = 1;
        }
    }

    /** Sends what a thread prints to the call the thread belongs to; what belongs to none goes to stderr. */
    private static final class Demux extends OutputStream {
        private final boolean stdout;
        private final OutputStream rest = new FileOutputStream(FileDescriptor.err);

        Demux(boolean stdout) {
            this.stdout = stdout;
        }

        private OutputStream target() {
            Call call = CURRENT.get();
            return call == null ? rest : stdout ? call.out : call.err;
        }

        @Override
        public void write(int b) throws java.io.IOException {
            target().write(b);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws java.io.IOException {
            target().write(bytes, offset, length);
        }
    }

    /** The stdin of the call that the reading thread belongs to. */
    private static final class DemuxInput extends InputStream {
        private static InputStream target() {
            Call call = CURRENT.get();
            return call == null ? InputStream.nullInputStream() : call.in;
        }

        @Override
        public int read() throws java.io.IOException {
            return target().read();
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws java.io.IOException {
            return target().read(bytes, offset, length);
        }
    }
}
