using System.Net;
using System.Net.Sockets;
using System.Text;

namespace GptFunctions.Tests.Support;

/// <summary>An upstream that sends exactly the octets that a test gives it. It keeps connections open unless the behaviour ends them.</summary>
internal sealed class RawUpstream : IAsyncDisposable
{
    private readonly TcpListener listener = new(IPAddress.Loopback, TestApp.FreePort());
    private readonly CancellationTokenSource stop = new();
    private readonly Task accepting;
    private int requests;

    public RawUpstream()
    {
        listener.Start();
        accepting = AcceptAsync();
    }

    public string Url => $"http://{listener.LocalEndpoint}";

    /// <summary>What it does with a request; false ends the connection.</summary>
    public Func<RawExchange, Task<bool>> Behaviour { get; set; } = _ => Task.FromResult(false);

    /// <summary>How many requests have come.</summary>
    public int Requests => requests;

    /// <summary>Each request is read whole and answered with these octets (as Latin-1).</summary>
    public void Answers(string octets, bool closes = false) => Behaviour = async exchange =>
    {
        await exchange.ReadBodyAsync();
        await exchange.SendAsync(octets);
        return !closes;
    };

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        listener.Dispose();
        await accepting.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            _ = ServeAsync(await listener.AcceptTcpClientAsync(stop.Token));
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        using (client)
        {
            try
            {
                client.NoDelay = true;
                var reader = new RawReader(client.GetStream());
                while (await reader.HeadAsync(stop.Token) is { } head)
                {
                    Interlocked.Increment(ref requests);
                    if (!await Behaviour(new RawExchange(head, reader, client, stop.Token)))
                    {
                        return;
                    }
                }
            }
            catch (Exception error) when (error is IOException or OperationCanceledException or ObjectDisposedException)
            {
                // Whoever hangs up is no news here.
            }
        }
    }
}

/// <summary>One request that came, and the way back.</summary>
internal sealed record RawExchange(string Head, RawReader Reader, TcpClient Client, CancellationToken Stop)
{
    public string Method => Head.Split(' ')[0];

    public string Target => Head.Split(' ')[1];

    public Task<byte[]> ReadBodyAsync() => Reader.BodyAsync(Head, mayEndWithConnection: false, Stop);

    public async Task SendAsync(string octets) => await Client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(octets), Stop);

    /// <summary>Whether the other side ends the connection or breaks it off, rather than sending more.</summary>
    public async Task<bool> IsHungUpAsync()
    {
        try
        {
            while (await Reader.FillAsync(Stop))
            {
            }
        }
        catch (IOException)
        {
        }

        return true;
    }
}

/// <summary>Reads messages of HTTP/1.1 as they stand on the wire.</summary>
internal sealed class RawReader(Stream stream)
{
    private readonly byte[] piece = new byte[64 * 1024];
    private byte[] rest = [];

    /// <summary>Start line and headers, with the empty line; null at the end of the connection.</summary>
    public async Task<string?> HeadAsync(CancellationToken cancellationToken)
    {
        int end;
        while ((end = rest.AsSpan().IndexOf("\r\n\r\n"u8)) < 0)
        {
            if (!await FillAsync(cancellationToken))
            {
                return rest.Length == 0 ? null : throw new IOException("the connection ended within a head: " + Encoding.Latin1.GetString(rest));
            }
        }

        return Encoding.Latin1.GetString(Take(end + 4));
    }

    public async Task<byte[]> BodyAsync(string head, bool mayEndWithConnection, CancellationToken cancellationToken)
    {
        if (RawHttp.Header(head, "Transfer-Encoding") is not null)
        {
            return await ChunksAsync(cancellationToken);
        }

        if (RawHttp.Header(head, "Content-Length") is { } length)
        {
            return await TakeAsync(int.Parse(length, System.Globalization.CultureInfo.InvariantCulture), cancellationToken);
        }

        while (mayEndWithConnection && await FillAsync(cancellationToken))
        {
        }

        return mayEndWithConnection ? Take(rest.Length) : [];
    }

    /// <summary>Reads more; false at the end of the connection.</summary>
    public async Task<bool> FillAsync(CancellationToken cancellationToken)
    {
        var count = await stream.ReadAsync(piece, cancellationToken);
        rest = [.. rest, .. piece.AsSpan(0, count)];
        return count > 0;
    }

    public async Task<byte[]> TakeAsync(int count, CancellationToken cancellationToken)
    {
        while (rest.Length < count)
        {
            await MoreAsync(cancellationToken);
        }

        return Take(count);
    }

    private async Task<byte[]> ChunksAsync(CancellationToken cancellationToken)
    {
        using var body = new MemoryStream();
        while (true)
        {
            int end;
            while ((end = rest.AsSpan().IndexOf("\r\n"u8)) < 0)
            {
                await MoreAsync(cancellationToken);
            }

            var size = Convert.ToInt32(Encoding.Latin1.GetString(Take(end + 2)).Trim(), 16);
            var chunk = await TakeAsync(size + 2, cancellationToken);
            if (size == 0)
            {
                return body.ToArray();
            }

            body.Write(chunk, 0, size);
        }
    }

    private async Task MoreAsync(CancellationToken cancellationToken)
    {
        if (!await FillAsync(cancellationToken))
        {
            throw new IOException("the connection ended within a message");
        }
    }

    private byte[] Take(int count)
    {
        var taken = rest[..count];
        rest = rest[count..];
        return taken;
    }
}
