using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace GptFunctions.Tests.Support;

/// <summary>Stands between the app and a real server on this machine, and takes the network away when told: that is how tests make an outage.</summary>
internal sealed class TestProxy : IAsyncDisposable
{
    private readonly Uri server;
    private readonly int port;
    private readonly ConcurrentBag<TcpClient> open = [];
    private TcpListener listener;
    private int roundTrips;
    private int connections;
    private volatile int era;
    private volatile bool isSilent;
    private Task accepting;

    public TestProxy(string serverUrl)
    {
        server = new Uri(serverUrl);
        listener = new TcpListener(IPAddress.Loopback, TestApp.FreePort()); // while it is cut, nobody else takes it
        listener.Start();
        port = ((IPEndPoint)listener.LocalEndpoint).Port;
        accepting = AcceptAsync();
        Url = new UriBuilder(server) { Host = "127.0.0.1", Port = port }.Uri.ToString();
    }

    /// <summary>The server's URL by way of this proxy.</summary>
    public string Url { get; }

    /// <summary>How often a client has sent something after the server's answer, on all connections together.</summary>
    public int RoundTrips => Volatile.Read(ref roundTrips);

    /// <summary>Connections of clients that have not ended theirs.</summary>
    public int Connections => Volatile.Read(ref connections);

    /// <summary>Ends all connections and refuses new ones.</summary>
    public async Task CutAsync()
    {
        listener.Dispose();
        await accepting;
        while (open.TryTake(out var client))
        {
            client.Dispose();
        }
    }

    public void Restore()
    {
        listener = new TcpListener(IPAddress.Loopback, port);
        listener.Start();
        accepting = AcceptAsync();
    }

    /// <summary>Goes on to accept connections and bytes, and passes none on.</summary>
    public void Silence() => isSilent = true;

    /// <summary>New connections work; those of before stay dead, as behind a router that has lost its memory.</summary>
    public void Speak()
    {
        Interlocked.Increment(ref era);
        isSilent = false;
    }

    public async ValueTask DisposeAsync() => await CutAsync();

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await listener.AcceptTcpClientAsync();
                var upstream = new TcpClient();
                Interlocked.Increment(ref connections);
                open.Add(client);
                open.Add(upstream);
                await upstream.ConnectAsync(server.Host, server.Port);
                var turn = new Turn();
                _ = CopyAsync(client, upstream, turn, fromClient: true);
                _ = CopyAsync(upstream, client, turn, fromClient: false);
            }
        }
        catch (Exception error) when (error is SocketException or InvalidOperationException) // the latter: cut between two calls
        {
            // Cut.
        }
    }

    private async Task CopyAsync(TcpClient from, TcpClient to, Turn turn, bool fromClient)
    {
        try
        {
            var (buffer, born) = (new byte[64 * 1024], era);
            for (int length; (length = await from.GetStream().ReadAsync(buffer)) > 0;)
            {
                if (isSilent || born != era)
                {
                    continue;
                }

                if (fromClient && turn.IsClients)
                {
                    Interlocked.Increment(ref roundTrips);
                }

                turn.IsClients = !fromClient;
                await to.GetStream().WriteAsync(buffer.AsMemory(0, length));
            }

            to.Client.Shutdown(SocketShutdown.Send);
        }
        catch (Exception error) when (error is IOException or SocketException or ObjectDisposedException or InvalidOperationException)
        {
            from.Dispose();
            to.Dispose();
        }
        finally
        {
            Interlocked.Add(ref connections, fromClient ? -1 : 0);
        }
    }

    /// <summary>Who may speak next on one connection.</summary>
    private sealed class Turn
    {
        private volatile bool isClients = true;

        public bool IsClients
        {
            get => isClients;
            set => isClients = value;
        }
    }
}
