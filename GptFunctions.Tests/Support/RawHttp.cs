using System.Net.Sockets;
using System.Text;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Support;

/// <summary>Requests as bytes, because no client library would send what an attacker does.</summary>
internal static class RawHttp
{
    /// <summary>Sends one request and reads until the server closes the connection.</summary>
    /// <param name="target">The request target as it stands on the request line.</param>
    /// <param name="headers">Whole lines.</param>
    public static async Task<(int Status, string Body)> SendAsync(
        HttpClient server, string target, string? token, IEnumerable<string> headers, string method = "GET")
    {
        var address = server.BaseAddress!;
        using var client = new TcpClient();
        await client.ConnectAsync(address.Host, address.Port);
        var stream = client.GetStream();
        var request = new StringBuilder($"{method} {target} HTTP/1.1\r\nHost: {address.Authority}\r\nConnection: close\r\n");
        request.Append(token is null ? "" : $"Authorization: Bearer {token}\r\n");
        foreach (var line in headers)
        {
            request.Append(line).Append("\r\n");
        }

        await stream.WriteAsync(Encoding.UTF8.GetBytes(request.Append("\r\n").ToString()));
        using var reader = new StreamReader(stream, Encoding.UTF8);
        var answer = await reader.ReadToEndAsync();
        var (head, body) = answer.IndexOf("\r\n\r\n", StringComparison.Ordinal) is > 0 and var end ? (answer[..end], answer[(end + 4)..]) : (answer, "");
        return (
            int.Parse(head.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture),
            head.Contains("chunked", StringComparison.OrdinalIgnoreCase) ? Dechunk(body) : body);
    }

    /// <summary>A header's value in a head; null when it is not there, several joined by commas.</summary>
    public static string? Header(string head, string name)
    {
        var values = head.Split("\r\n").Where(line => line.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase))
            .Select(line => line[(name.Length + 1)..].Trim()).ToList();
        return values.Count == 0 ? null : string.Join(", ", values);
    }

    private static string Dechunk(string body)
    {
        var text = new StringBuilder();
        while (body.IndexOf("\r\n", StringComparison.Ordinal) is > 0 and var end && Convert.ToInt32(body[..end], 16) is > 0 and var length)
        {
            text.Append(body, end + 2, length);
            body = body[(end + 2 + length + 2)..];
        }

        return text.ToString();
    }
}
