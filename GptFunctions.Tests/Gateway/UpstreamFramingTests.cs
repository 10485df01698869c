using System.Text.Json;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Gateway;

/// <summary>gateway.md 17: whatever an upstream sends, the caller gets a proper answer, and the call after it on the same connection works.</summary>
public sealed class UpstreamFramingTests(RawGatewayFixture<UpstreamFramingTests> fixture) : IClassFixture<RawGatewayFixture<UpstreamFramingTests>>
{
    private static readonly int[] Statuses = [200, 201, 202, 203, 204, 205, 206, 304, 400, 404, 418, 429, 500, 503];
    private static readonly string[] Methods = ["GET", "HEAD", "POST"];
    private static readonly string[] Bodies = ["", "small", new('x', 100_000)];

    [Theory]
    [InlineData("/gpt/open")]
    [InlineData("/gpt/capped")]
    public async Task Table_of_answers_over_one_connection_is_right_in_every_field(string path)
    {
        var user = await fixture.Users.AddAsync();
        using var connection = new RawConnection(fixture.App.Http);
        foreach (var status in Statuses)
        {
            foreach (var framing in (string[])["length", "chunked", "close", "none"])
            {
                foreach (var body in Bodies)
                {
                    foreach (var method in Methods)
                    {
                        var hasContent = method != "HEAD" && status is not (204 or 205 or 304);
                        if (framing != "none" || !hasContent) // without any framing content ends with the connection
                        {
                            await CheckAsync(connection, user.Token, path, method, status, framing, body, hasContent);
                        }
                    }
                }
            }
        }
    }

    /// <summary>RFC 9110 15.2: interim answers are not the answer; one that switches protocols unasked is none.</summary>
    [Fact]
    public async Task Interim_answers_are_passed_over_and_an_unasked_101_is_502()
    {
        var user = await fixture.Users.AddAsync();
        using var connection = new RawConnection(fixture.App.Http);

        foreach (var method in Methods)
        {
            fixture.Upstream.Answers("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
                + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + (method == "HEAD" ? "" : "ok"));
            var answer = await CallAsync(connection, user.Token, "/gpt/open", method);
            Assert.Equal((200, method == "HEAD" ? "" : "ok", null), (answer.Status, answer.Text, answer["Link"]));

            fixture.Upstream.Answers("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nframes", closes: true);
            answer = await CallAsync(connection, user.Token, "/gpt/open", method);
            Assert.Equal((502, null), (answer.Status, answer["Upgrade"]));
            Assert.True(method == "HEAD" || Code(answer) == "UPSTREAM_INVALID_RESPONSE", answer.Text);
        }
    }

    /// <summary>RFC 9112 6.3: nobody can tell where these end, so nobody may guess.</summary>
    [Theory]
    [InlineData("Content-Length: 2\r\nContent-Length: 2")]
    [InlineData("Content-Length: 2\r\nContent-Length: 3")]
    [InlineData("Content-Length: 2, 2")]
    [InlineData("Content-Length: -2")]
    [InlineData("Content-Length: two")]
    [InlineData("Content-Length: 99999999999999999999999")]
    [InlineData("Content-Length: 2\r\nTransfer-Encoding: chunked")]
    [InlineData("Transfer-Encoding: gzip, chunked")]
    [InlineData("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")]
    [InlineData("Transfer-Encoding: identity")]
    [InlineData("Bad Name: x\r\nContent-Length: 2")]
    [InlineData("no colon\r\nContent-Length: 2")]
    public async Task Broken_framing_is_502_with_a_code_and_its_own_audit_event(string lines)
    {
        var user = await fixture.Users.AddAsync();
        using var connection = new RawConnection(fixture.App.Http);
        foreach (var path in (string[])["/gpt/open", "/gpt/capped"])
        {
            fixture.Upstream.Answers($"HTTP/1.1 200 OK\r\n{lines}\r\n\r\nok");
            var answer = await CallAsync(connection, user.Token, path, "POST");

            Assert.Equal((502, "UPSTREAM_INVALID_RESPONSE"), (answer.Status, Code(answer)));
        }

        Assert.Equal([502, 502], await fixture.App.Database.ActionStatusesAsync(user.Subject, 2));
        fixture.Upstream.Answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        Assert.Equal("ok", (await CallAsync(connection, user.Token, "/gpt/open", "GET")).Text);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nX: " + "\r\n\r\n", 200)]
    [InlineData("this is not HTTP\r\n\r\n", 502)]
    [InlineData("HTTP/1.1 abc OK\r\n\r\n", 502)]
    [InlineData("HTTP/3.7 200 OK\r\n\r\n", 502)]
    [InlineData("", 502)]
    public async Task Upstream_that_speaks_something_else_is_502(string octets, int expected)
    {
        var user = await fixture.Users.AddAsync();
        using var connection = new RawConnection(fixture.App.Http);
        fixture.Upstream.Answers(octets, closes: true);

        Assert.Equal(expected, (await CallAsync(connection, user.Token, "/gpt/open", "GET")).Status);
    }

    private static string? Code(RawAnswer answer) => JsonElement.Parse(answer.Text).GetProperty("code").GetString();

    private static Task<RawAnswer> CallAsync(RawConnection connection, string token, string path, string method) =>
        connection.CallAsync(method, path, token, method == "POST" ? "question" : "");

    private async Task CheckAsync(RawConnection connection, string token, string path, string method, int status, string framing, string body, bool hasContent)
    {
        var head = $"HTTP/1.1 {status} Whatever\r\nContent-Type: text/plain\r\n" + framing switch
        {
            "length" => $"Content-Length: {body.Length}\r\n\r\n",
            "chunked" => "Transfer-Encoding: chunked\r\n\r\n",
            "close" => "Connection: close\r\n\r\n",
            _ => "\r\n",
        };
        // Some upstreams send content where there can be none; it must not become the beginning of the next answer.
        var content = framing == "chunked" ? (body.Length > 0 ? $"{body.Length:x}\r\n{body}\r\n" : "") + "0\r\n\r\n" : body;
        fixture.Upstream.Answers(head + content, closes: framing == "close");

        RawAnswer answer;
        try
        {
            answer = await CallAsync(connection, token, path, method);
        }
        catch (Exception error) when (error is IOException or OperationCanceledException)
        {
            throw new InvalidOperationException($"{method} {status} {framing} {body.Length}: {error.Message}", error);
        }

        var isTooLarge = path == "/gpt/capped" && hasContent && body.Length > 1000;
        var expected = isTooLarge ? 502 : status;
        Assert.True(expected == answer.Status, $"{method} {status} {framing} {body.Length}: {answer.Head} {answer.Text}");
        Assert.True(isTooLarge || answer.Text == (hasContent ? body : ""), $"{method} {status} {framing} {body.Length}: {answer.Head} {answer.Text}");
        Assert.True(answer["Connection"] is null, $"{method} {status} {framing} {body.Length}: {answer.Head}");
        Assert.True(
            !hasContent || (answer["Content-Length"] is null) != (answer["Transfer-Encoding"] is null),
            $"{method} {status} {framing} {body.Length}: {answer.Head}");
        Assert.True(hasContent || answer["Transfer-Encoding"] is null, $"{method} {status} {framing} {body.Length}: {answer.Head}");
        Assert.Equal((status, framing, method) switch
        {
            (204, _, _) => null,
            (205, _, _) => "0",
            (_, "length", "HEAD") or (304, "length", _) => $"{body.Length}",
            _ => answer["Content-Length"],
        }, answer["Content-Length"]);
    }
}
