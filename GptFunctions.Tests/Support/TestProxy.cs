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
    private Task accepting;

    public TestProxy(string serverUrl)
    {
        server = new Uri(serverUrl);
        listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        port = ((IPEndPoint)listener.LocalEndpoint).Port;
        accepting = AcceptAsync();
        Url = new UriBuilder(server) { Host = "127.0.0.1", Port = port }.Uri.ToString();
    }

    /// <summary>The server's URL by way of this proxy.</summary>
    public string Url { get; }

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

    public async ValueTask DisposeAsync() => await CutAsync();

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await listener.AcceptTcpClientAsync();
                var upstream = new TcpClient();
                open.Add(client);
                open.Add(upstream);
                await upstream.ConnectAsync(server.Host, server.Port);
                _ = CopyAsync(client, upstream);
                _ = CopyAsync(upstream, client);
            }
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // Cut.
        }
    }

    private static async Task CopyAsync(TcpClient from, TcpClient to)
    {
        try
        {
            await from.GetStream().CopyToAsync(to.GetStream());
            to.Client.Shutdown(SocketShutdown.Send);
        }
        catch (Exception error) when (error is IOException or SocketException or ObjectDisposedException or InvalidOperationException)
        {
            from.Dispose();
            to.Dispose();
        }
    }
}
