package roomful;

import io.socket.client.Ack;
import io.socket.client.IO;
import io.socket.client.Socket;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.json.JSONException;
import org.json.JSONObject;

/** The stock socket.io-client for Java as a program of the client matrix (see ../../../../../README.md). */
public final class Client {
  public static void main(String[] args) throws Exception {
    String[] transports = args[2].equals("upgrade") ? new String[] {"polling", "websocket"} : new String[] {args[2]};
    IO.Options options =
        IO.Options.builder()
            .setTransports(transports)
            .setAuth(Map.of("token", args[1]))
            .setReconnectionDelay(100)
            .setReconnectionDelayMax(1000)
            .build();
    Socket socket = IO.socket(URI.create(args[0]), options);
    socket.on(Socket.EVENT_CONNECT, got -> print("connect", "recovered", false));
    socket.on(Socket.EVENT_DISCONNECT, got -> print("disconnect", "reason", got[0]));
    // The library reports network errors, which it retries, as exceptions.
    socket.on(
        Socket.EVENT_CONNECT_ERROR,
        got -> {
          if (got[0] instanceof JSONObject refusal) print("refused", "data", refusal.opt("data"));
        });
    socket.onAnyIncoming(got -> print("event", "name", got[0], "data", got.length > 1 ? got[1] : JSONObject.NULL));
    socket.connect();

    BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String text = input.readLine(); text != null; text = input.readLine()) {
      JSONObject command = new JSONObject(text);
      int id = command.getInt("id");
      Ack ack = got -> print("ack", "id", id, "data", got.length > 0 ? got[0] : JSONObject.NULL);
      socket.emit(command.getString("event"), new Object[] {command.get("payload")}, ack);
    }
    System.exit(0);
  }

  /** Prints a line with these fields: a name, its value, and so on. */
  private static synchronized void print(String kind, Object... fields) {
    try {
      JSONObject line = new JSONObject().put("kind", kind);
      for (int i = 0; i < fields.length; i += 2) line.put((String) fields[i], fields[i + 1]);
      System.out.println(line);
      System.out.flush();
    } catch (JSONException error) {
      throw new IllegalStateException(error);
    }
  }
}
