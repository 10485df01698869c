using System.Globalization;
using System.Net.Sockets;
using System.Text;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Support;

/// <summary>An answer as it stood on the wire.</summary>
internal sealed record RawAnswer(string Head, byte[] Body)
{
    public int Status => int.Parse(Head.AsSpan(9, 3), CultureInfo.InvariantCulture);

    public string Text => Encoding.UTF8.GetString(Body);

    public string? this[string header] => RawHttp.Header(Head, header);
}

/// <summary>One connection to a server, for any number of requests, one after the other.</summary>
internal sealed class RawConnection(Uri server) : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private readonly TcpClient client = new(server.Host, server.Port) { NoDelay = true };
    private RawReader? reader;

    public RawConnection(HttpClient server)
        : this(server.BaseAddress!)
    {
    }

    /// <param name="lines">Whole header lines beside Host and, with a token, Authorization.</param>
    public Task<RawAnswer> CallAsync(string method, string target, string? token, string body = "", params string[] lines) =>
        CallAsync(method, Request(method, target, token, body, lines));

    public async Task<RawAnswer> CallAsync(string method, string octets)
    {
        await SendAsync(octets);
        return await AnswerAsync(method);
    }

    public string Request(string method, string target, string? token, string body = "", params string[] lines) =>
        string.Concat([$"{method} {target} HTTP/1.1\r\nHost: {server.Authority}\r\n", token is null ? "" : $"Authorization: Bearer {token}\r\n",
            body.Length > 0 ? $"Content-Length: {body.Length}\r\n" : "", .. lines.Select(line => line + "\r\n"), "\r\n", body]);

    /// <param name="octets">As Latin-1.</param>
    public async Task SendAsync(string octets) => await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(octets)).AsTask().WaitAsync(Patience);

    /// <summary>The next final answer.</summary>
    public async Task<RawAnswer> AnswerAsync(string method)
    {
        using var limit = new CancellationTokenSource(Patience);
        reader ??= new RawReader(client.GetStream());
        string? head;
        do
        {
            head = await reader.HeadAsync(limit.Token) ?? throw new IOException("the server closed the connection without an answer");
        }
        while (head[9] == '1');

        var hasBody = method != "HEAD" && head[9..12] is not ("204" or "304");
        return new RawAnswer(head, hasBody ? await reader.BodyAsync(head, mayEndWithConnection: true, limit.Token) : []);
    }

    public void Dispose() => client.Dispose();
}
