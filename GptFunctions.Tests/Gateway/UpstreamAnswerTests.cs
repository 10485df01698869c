using System.IO.Compression;
using System.Text;
using System.Text.Json;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Gateway;

/// <summary>What of an upstream's answer reaches the caller, field by field: headers, the cap, credentials, places.</summary>
public sealed class UpstreamAnswerTests(RawGatewayFixture<UpstreamAnswerTests> fixture) : IClassFixture<RawGatewayFixture<UpstreamAnswerTests>>
{
    private readonly TestApp app = fixture.App;

    /// <summary>RFC 9110 5.5: octets above ASCII are opaque and pass; control characters become spaces.</summary>
    [Theory]
    [InlineData("attachment; filename=\"r\u00c3\u00a9sum\u00c3\u00a9.pdf\"", "attachment; filename=\"r\u00c3\u00a9sum\u00c3\u00a9.pdf\"")] // UTF-8
    [InlineData("attachment; filename=\"r\u00e9sum\u00e9.pdf\"", "attachment; filename=\"r\u00e9sum\u00e9.pdf\"")] // Latin-1
    [InlineData("attachment; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf", "attachment; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf")]
    [InlineData("a\u0001b\u007fc", "a b c")]
    [InlineData("a\tb", "a\tb")]
    [InlineData("a\0b", "a b")]
    [InlineData("a\r\n b", "a   b")] // obs-fold: each of its characters a space (RFC 9112 5.2)
    public async Task Header_with_anything_in_it_passes_as_far_as_http_lets_it(string value, string expected)
    {
        var user = await fixture.Users.AddAsync();
        fixture.Upstream.Answers($"HTTP/1.1 200 OK\r\nContent-Disposition: {value}\r\nX-Two: 1\r\nX-Two: 2\r\nContent-Length: 2\r\n\r\nok");
        using var connection = new RawConnection(app.Http);

        foreach (var path in (string[])["/gpt/open", "/gpt/capped"])
        {
            var answer = await connection.CallAsync("GET", path, user.Token);

            Assert.Equal((200, "ok"), (answer.Status, answer.Text));
            Assert.Equal(expected, answer["Content-Disposition"]);
            Assert.Equal("1, 2", answer["X-Two"]);
        }
    }

    /// <summary>
    /// A character is what its reader sees: of whatever encoding, in however many octets, in whatever pieces; what is no text counts as its
    /// replacement.
    /// </summary>
    [Theory]
    [InlineData("", "x")]
    [InlineData("", "\u00e2\u0082\u00ac")] // the euro sign
    [InlineData("", "\u00f0\u009f\u0098\u0080")] // a character beyond the first 65,536
    [InlineData("", "\u0080")] // no beginning of a character: each is one
    [InlineData("", "\u00e2\u0082")] // never ends
    [InlineData("; charset=iso-8859-1", "\u00e9")]
    [InlineData("; charset=\"utf-16\"", "x\0")]
    [InlineData("; charset=nonsense", "\u00e2\u0082\u00ac")]
    internal async Task Cap_counts_decoded_characters(string charset, string character)
    {
        var user = await fixture.Users.AddAsync();
        using var connection = new RawConnection(app.Http);
        foreach (var (repeats, expected) in ((int, int)[])[(1000, 200), (1001, 502)])
        {
            var body = string.Concat(Enumerable.Repeat(character, repeats));
            var chunks = string.Concat(body.Chunk(7).Select(chunk => $"{chunk.Length:x}\r\n{new string(chunk)}\r\n")) + "0\r\n\r\n"; // cuts characters
            fixture.Upstream.Answers($"HTTP/1.1 200 OK\r\nContent-Type: text/plain{charset}\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
            var chunked = await connection.CallAsync("GET", "/gpt/capped", user.Token);
            fixture.Upstream.Answers($"HTTP/1.1 200 OK\r\nContent-Type: text/plain{charset}\r\nContent-Length: {body.Length}\r\n\r\n{body}");
            var whole = await connection.CallAsync("GET", "/gpt/capped", user.Token);

            Assert.Equal((expected, expected), (chunked.Status, whole.Status));
            Assert.True(expected != 200 || (Encoding.Latin1.GetString(chunked.Body) == body && Encoding.Latin1.GetString(whole.Body) == body));
        }
    }

    /// <summary>
    /// We ask for no compression where characters are counted; an upstream that compresses all the same is counted, and read, as what it says.
    /// </summary>
    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    [InlineData("br")]
    public async Task Compressed_answer_counts_as_what_it_says(string coding)
    {
        var user = await fixture.Users.AddAsync();
        using var connection = new RawConnection(app.Http);

        var (below, over) = (await CompressedAsync(1000), await CompressedAsync(1001));

        Assert.Equal((200, new string('x', 1000), null), (below.Status, below.Text, below["Content-Encoding"]));
        Assert.Equal((502, "RESPONSE_TOO_LARGE"), (over.Status, Code(over)));

        async Task<RawAnswer> CompressedAsync(int count)
        {
            using var squeezed = new MemoryStream();
            Stream coder = coding switch
            {
                "gzip" => new GZipStream(squeezed, CompressionMode.Compress, leaveOpen: true),
                "br" => new BrotliStream(squeezed, CompressionMode.Compress, leaveOpen: true),
                _ => new ZLibStream(squeezed, CompressionMode.Compress, leaveOpen: true),
            };
            await using (coder)
            {
                await coder.WriteAsync(Encoding.UTF8.GetBytes(new string('x', count)));
            }

            var body = Encoding.Latin1.GetString(squeezed.ToArray());
            fixture.Upstream.Answers(
                $"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: {coding}\r\nContent-Length: {body.Length}\r\n\r\n{body}");
            return await connection.CallAsync("GET", "/gpt/capped", user.Token, "", "Accept-Encoding: gzip, br");
        }
    }

    [Theory]
    [InlineData("gzip", "no gzip at all")]
    [InlineData("br", "no brotli at all")]
    [InlineData("zstd", "whatever")]
    [InlineData("gzip, gzip", "whatever")]
    internal async Task Encoding_that_cannot_be_undone_is_502(string coding, string body)
    {
        var user = await fixture.Users.AddAsync();
        using var connection = new RawConnection(app.Http);
        fixture.Upstream.Answers($"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {body.Length}\r\n\r\n{body}");

        var answer = await connection.CallAsync("GET", "/gpt/capped", user.Token);

        Assert.Equal((502, "UPSTREAM_INVALID_RESPONSE"), (answer.Status, Code(answer)));
    }

    /// <summary>A host would ask people to sign in again, for nothing: it is the gateway that the upstream refuses.</summary>
    [Fact]
    public async Task Upstreams_401_is_502_and_no_challenge_of_an_upstream_reaches_a_host()
    {
        var user = await fixture.Users.AddAsync();
        using var connection = new RawConnection(app.Http);
        fixture.Upstream.Answers("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer error=\"invalid_token\"\r\nContent-Length: 2\r\n\r\nno");
        var refused = await connection.CallAsync("GET", "/gpt/open", user.Token);
        fixture.Upstream.Answers("HTTP/1.1 403 Forbidden\r\nWWW-Authenticate: Bearer error=\"insufficient_scope\"\r\nContent-Length: 2\r\n\r\nno");
        var forbidden = await connection.CallAsync("GET", "/gpt/open", user.Token);

        Assert.Equal((502, "UPSTREAM_UNAUTHORIZED", null), (refused.Status, Code(refused), refused["WWW-Authenticate"]));
        Assert.Equal((403, "no", null), (forbidden.Status, forbidden.Text, forbidden["WWW-Authenticate"]));
        var upstream = new Uri(fixture.Upstream.Url).Authority;
        Assert.Contains(
            app.Log.Lines,
            line => line.StartsWith("Warning 6023 ", StringComparison.Ordinal) && line.Contains(upstream, StringComparison.Ordinal)
                && line.Contains(" open ", StringComparison.Ordinal));
        Assert.Equal([502, 403], await app.Database.ActionStatusesAsync(user.Subject, 2));
    }

    /// <summary>OURS and UPSTREAM stand for the two addresses.</summary>
    [Theory]
    [InlineData("UPSTREAM/api/v1/job/42/details?x=1#y", "OURS/gpt/jobs/42?x=1#y")]
    [InlineData("/api/v1/job/a%20b/details", "OURS/gpt/jobs/a%20b")]
    [InlineData("../api/v1/job/42/details", "OURS/gpt/jobs/42")]
    [InlineData("/gpt/open", "OURS/gpt/open")]
    [InlineData("?page=2", "OURS/gpt/open?page=2")]
    [InlineData("OURS/gpt/jobs/42", "OURS/gpt/jobs/42")]
    [InlineData("https://example.org/login?next=%2Fa", "https://example.org/login?next=%2Fa")]
    [InlineData("//example.org/a", "http://example.org/a")]
    [InlineData("http://93.184.216.34/a", "http://93.184.216.34/a")]
    [InlineData("/admin", null)] // of the upstream, but no route leads there
    [InlineData("/api/v1/job/a%2Fb/details", null)]
    [InlineData("/api/v1/job/%2e%2e/details", null)]
    [InlineData("https://api.example.com/base/gpt/elsewhere", null)] // another upstream
    [InlineData("http://jobs-api:3000/x", null)]
    [InlineData("http://jobs.default.svc.cluster.local/x", null)]
    [InlineData("http://printer.local./x", null)]
    [InlineData("http://localhost/x", null)]
    [InlineData("http://127.0.0.1:1/x", null)]
    [InlineData("http://2130706433/x", null)] // 127.0.0.1
    [InlineData("http://10.1.2.3/x", null)]
    [InlineData("http://172.20.0.1/x", null)]
    [InlineData("http://192.168.1.1/x", null)]
    [InlineData("http://169.254.169.254/latest/meta-data", null)]
    [InlineData("http://100.64.0.1/x", null)]
    [InlineData("http://[::1]/x", null)]
    [InlineData("http://[fd00::1]/x", null)]
    [InlineData("http://[fe80::1]/x", null)]
    [InlineData("http://[::ffff:10.0.0.1]/x", null)]
    [InlineData("javascript:alert(1)", null)]
    [InlineData("http://[", null)]
    internal async Task Location_leads_to_us_or_outside_and_nowhere_inside(string location, string? expected)
    {
        var user = await fixture.Users.AddAsync();
        using var connection = new RawConnection(app.Http);
        var value = location.Replace("UPSTREAM", fixture.Upstream.Url, StringComparison.Ordinal).Replace("OURS", app.BaseUrl, StringComparison.Ordinal);
        fixture.Upstream.Answers($"HTTP/1.1 302 Found\r\nLocation: {value}\r\nContent-Location: {value}\r\nContent-Length: 0\r\n\r\n");

        var answer = await connection.CallAsync("GET", "/gpt/open", user.Token);

        Assert.Equal(302, answer.Status);
        Assert.Equal(expected?.Replace("OURS", app.BaseUrl, StringComparison.Ordinal), answer["Location"]);
        Assert.Equal(answer["Location"], answer["Content-Location"]);
    }

    /// <summary>Every answer is one person's: no shared cache may keep it (RFC 9111 3.5).</summary>
    [Theory]
    [InlineData("public, max-age=60", "private, max-age=60")]
    [InlineData("max-age=60, PUBLIC", "private, max-age=60")]
    [InlineData("s-maxage=60", "private")]
    [InlineData("must-revalidate, max-age=60", "private, must-revalidate, max-age=60")]
    [InlineData("max-age=60", "max-age=60")]
    [InlineData("no-store, public", "no-store")]
    [InlineData("private, s-maxage=9", "private")]
    public async Task Cache_control_never_lets_a_shared_cache_keep_an_answer(string value, string expected)
    {
        var user = await fixture.Users.AddAsync();
        using var connection = new RawConnection(app.Http);
        fixture.Upstream.Answers(
            $"HTTP/1.1 200 OK\r\nCache-Control: {value}\r\nCDN-Cache-Control: public\r\nConnection: x-hop\r\nX-Hop: 1\r\nContent-Length: 0\r\n\r\n");

        var answer = await connection.CallAsync("GET", "/gpt/open", user.Token);

        Assert.Equal((expected, null, null), (answer["Cache-Control"], answer["CDN-Cache-Control"], answer["X-Hop"]));
    }

    private static string? Code(RawAnswer answer) => JsonElement.Parse(answer.Text).GetProperty("code").GetString();
}
