using System.Diagnostics;
using System.Net;
using System.Text;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Gateway;

/// <summary>gateway.md 6 and 7: what goes to the upstream and what comes back, with an upstream in a process of its own that misbehaves on demand.</summary>
public sealed class ForwardingTests(GatewayFixture<ForwardingTests> fixture) : IClassFixture<GatewayFixture<ForwardingTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly HttpClient http = fixture.App.Http;

    [Theory]
    [InlineData("GET", null)]
    [InlineData("DELETE", null)]
    [InlineData("OPTIONS", null)]
    [InlineData("POST", "a body")]
    [InlineData("PUT", "a body")]
    [InlineData("PATCH", "a body")]
    [InlineData("DELETE", "a body")]
    [InlineData("POST", "")]
    public async Task Method_body_and_content_headers_reach_the_upstream(string method, string? body)
    {
        var user = await fixture.Users.AddAsync();
        using var content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/vnd.test+json");
        content?.Headers.Add("Content-Language", "de");

        using var response = await http.CallAsync(user.Token, "/gpt/echo", new HttpMethod(method), content);

        var echo = Echo.Of(await response.Content.ReadAsStringAsync());
        Assert.Equal((method, body ?? ""), (echo.Method, echo.Body));
        Assert.Equal(body is null ? null : "application/vnd.test+json; charset=utf-8", echo["content-type"]);
        Assert.Equal(body is null ? null : "de", echo["content-language"]);
        Assert.Equal(body?.Length.ToString(System.Globalization.CultureInfo.InvariantCulture), echo["content-length"]);
        Assert.Null(echo["transfer-encoding"]);
    }

    /// <summary>gateway.md 6: x-correlation-id and traceparent.</summary>
    [Fact]
    public async Task Correlation_and_trace_go_on_from_the_caller_or_begin_here()
    {
        const string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        var user = await fixture.Users.AddAsync();

        var given = await http.EchoAsync(user, headers: [("x-correlation-id", "abc-1"), ("traceparent", trace)]);
        var made = await http.EchoAsync(user, headers: [("traceparent", "00-nonsense")]);

        var named = await http.EchoAsync(user, headers: [("x-correlation-id", new string('0', 32))]);

        Assert.Equal("abc-1", given["x-correlation-id"]);
        Assert.Matches("^00-(?!0{32})[0-9a-f]{32}-[0-9a-f]{16}-0[01]$", named["traceparent"]); // no trace may be called so
        Assert.StartsWith(trace[.."00-4bf92f3577b34da6a3ce929d0e0e4736-".Length], given["traceparent"], StringComparison.Ordinal);
        Assert.Matches("^[0-9a-f]{32}$", made["x-correlation-id"]);
        Assert.Matches($"^00-{made["x-correlation-id"]}-[0-9a-f]{{16}}-0[01]$", made["traceparent"]); // whoever has the one finds the other
    }

    [Fact]
    public async Task Plan_goes_along_as_header_whatever_it_is_called()
    {
        var paid = await fixture.Users.AddAsync(plan: "Pro \u2013 J\u00e4hrlich\r\nx-internal-id: forged");
        var free = await fixture.Users.AddAsync();

        var echo = await http.EchoAsync(paid);

        Assert.Equal("Pro \u2013 J\u00e4hrlich??x-internal-id: forged", Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(echo["x-gpt-plan"]!)));
        Assert.Equal(paid.Id.ToString(), echo["x-internal-id"]);
        Assert.Null((await http.EchoAsync(free))["x-gpt-plan"]);
    }

    /// <summary>gateway.md 7: status and content type as they are; and nothing that is for our origin or about the user.</summary>
    [Theory]
    [InlineData(200)]
    [InlineData(201)]
    [InlineData(204)]
    [InlineData(301)]
    [InlineData(304)]
    [InlineData(400)]
    [InlineData(404)]
    [InlineData(418)]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(503)]
    public async Task Status_and_headers_come_back_as_they_are(int status)
    {
        var user = await fixture.Users.AddAsync();

        using var response = await http.CallAsync(user.Token, $"/gpt/open/status?code={status}");

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal("application/vnd.test+json", response.Content.Headers.ContentType?.ToString());
        Assert.Equal("yes", Assert.Single(response.Headers.GetValues("x-from-upstream")));
        Assert.Equal(TimeSpan.FromSeconds(7), response.Headers.RetryAfter?.Delta);
        Assert.Equal(TimeSpan.FromSeconds(5), response.Headers.CacheControl?.MaxAge);
        Assert.StartsWith("\"read\";r=", Assert.Single(response.Headers.GetValues("RateLimit")), StringComparison.Ordinal);
        Assert.NotEqual("theirs", Assert.Single(response.Headers.GetValues("x-correlation-id")));
        Assert.All(
            (string[])["Set-Cookie", "x-internal-id", "x-gpt-assertion", "Strict-Transport-Security", "Clear-Site-Data", "Connection"],
            name => Assert.False(response.Headers.Contains(name), name));
        Assert.Equal(status is 204 or 304 ? "" : """{"upstream":"says so"}""", await response.Content.ReadAsStringAsync());
    }

    /// <summary>gateway.md 7: streamed, not buffered. Each piece is here before the upstream is told to send the next one.</summary>
    [Theory]
    [InlineData("/gpt/open/events")]
    [InlineData("/gpt/capped/events")]
    public async Task Events_arrive_piece_by_piece(string path)
    {
        var user = await fixture.Users.AddAsync();

        using var response = await http.CallAsync(user.Token, path, completion: HttpCompletionOption.ResponseHeadersRead);
        await using var stream = await response.Content.ReadAsStreamAsync();
        using var reader = new StreamReader(stream);
        for (var number = 0; number < 3; number++)
        {
            Assert.Equal($"data: {number}", await reader.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(10)));
            Assert.Equal("", await reader.ReadLineAsync());
            await fixture.Upstream.NextAsync();
        }

        Assert.Null(await reader.ReadLineAsync());
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
    }

    /// <summary>gateway.md 7: cancellation passed on, before the answer and in the middle of it.</summary>
    [Theory]
    [InlineData("/gpt/open/slow")]
    [InlineData("/gpt/open/events")]
    [InlineData("/gpt/open/endless")]
    public async Task Caller_who_hangs_up_cancels_the_upstreams_work(string path)
    {
        var user = await fixture.Users.AddAsync();
        var hungUp = await HungUpAsync();
        using (var caller = new System.Net.Sockets.TcpClient(http.BaseAddress!.Host, http.BaseAddress.Port))
        {
            await caller.GetStream().WriteAsync(
                Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: {http.BaseAddress.Authority}\r\nAuthorization: Bearer {user.Token}\r\n\r\n"));
            await Wait.UntilAsync(async () => await fixture.Upstream.CountAsync("open") == 1);
        }

        await Wait.UntilAsync(async () => await fixture.Upstream.CountAsync("hungUp") == hungUp + 1, TimeSpan.FromSeconds(1.5)); // the time-out is 2 s
        Assert.DoesNotContain(
            app.Log.Lines, line => line.StartsWith("Error", StringComparison.Ordinal) && !line.Contains("AuditConsumer", StringComparison.Ordinal));
    }

    /// <summary>How many calls the upstream has lost, when it has noticed what became of those of the tests before.</summary>
    private async Task<int> HungUpAsync()
    {
        await Wait.UntilAsync(async () => await fixture.Upstream.CountAsync("open") == 0);
        return await fixture.Upstream.CountAsync("hungUp");
    }

    /// <summary>gateway.md 7: Per-route time-out: 504.</summary>
    [Fact]
    public async Task Slow_upstream_is_504_and_its_work_is_cancelled()
    {
        var user = await fixture.Users.AddAsync();
        var hungUp = await HungUpAsync();
        var watch = Stopwatch.StartNew();

        using var response = await http.CallAsync(user.Token, "/gpt/capped/slow");

        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        Assert.InRange(watch.Elapsed, TimeSpan.FromSeconds(1.9), TimeSpan.FromSeconds(5));
        Assert.Equal("UPSTREAM_TIMEOUT", (await response.ProblemAsync()).GetProperty("code").GetString());
        await Wait.UntilAsync(async () => await fixture.Upstream.CountAsync("hungUp") == hungUp + 1);
    }

    /// <summary>After the beginning there is no 504 to send; but the caller must not take half for the whole.</summary>
    [Theory]
    [InlineData("/gpt/open/stalling")]
    [InlineData("/gpt/open/torn")]
    [InlineData("/gpt/capped/stalling")]
    public async Task Answer_that_stops_in_the_middle_is_broken_off(string path)
    {
        var user = await fixture.Users.AddAsync();

        await Assert.ThrowsAsync<HttpRequestException>(() => http.CallAsync(user.Token, path));
    }

    /// <summary>gateway.md 7: connection failure: 502.</summary>
    [Theory]
    [InlineData("/gpt/dead")]
    [InlineData("/gpt/open/garbage")]
    public async Task Upstream_that_cannot_be_talked_to_is_502(string path)
    {
        var user = await fixture.Users.AddAsync();

        using var response = await http.CallAsync(user.Token, path);

        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Equal(
            path == "/gpt/dead" ? "UPSTREAM_UNREACHABLE" : "UPSTREAM_INVALID_RESPONSE",
            (await response.ProblemAsync()).GetProperty("code").GetString());
    }

    /// <summary>gateway.md 7: Response over the route's cap: 502 that says so. Told by its length or found out; text counts in characters.</summary>
    [Theory]
    [InlineData("huge?count=1000", true)]
    [InlineData("huge?count=1000&chunked", true)]
    [InlineData("huge?count=1001&chunked", false)]
    [InlineData("huge?count=1001", false)]
    [InlineData("huge?count=1000000", false)]
    [InlineData("huge?count=1000&text=%E2%82%AC", true)] // the euro sign: three octets
    [InlineData("huge?count=1000&text=%E2%82%AC&chunked", true)]
    [InlineData("huge?count=1001&text=%E2%82%AC", false)]
    [InlineData("huge?count=1001&text=%E2%82%AC&chunked", false)]
    [InlineData("endless", false)]
    public async Task Answer_over_the_cap_is_502_and_below_it_whole(string what, bool isBelow)
    {
        var user = await fixture.Users.AddAsync();

        using var response = await http.CallAsync(user.Token, "/gpt/capped/" + what);

        var body = await response.Content.ReadAsStringAsync();
        Assert.Equal(isBelow ? HttpStatusCode.OK : HttpStatusCode.BadGateway, response.StatusCode);
        if (isBelow)
        {
            Assert.Equal(1000, body.Length);
        }
        else
        {
            Assert.Equal("RESPONSE_TOO_LARGE", (await response.ProblemAsync()).GetProperty("code").GetString());
            Assert.Contains("1000 characters", body, StringComparison.Ordinal);
        }
    }

    /// <summary>"none for MCP": a route without a cap lets pass what a capped one would hold.</summary>
    [Fact]
    public async Task Answer_of_a_route_without_cap_may_be_of_any_size()
    {
        var user = await fixture.Users.AddAsync();

        using var response = await http.CallAsync(user.Token, "/gpt/open/huge?count=3000000&chunked");

        Assert.Equal(3_000_000, (await response.Content.ReadAsByteArrayAsync()).Length);
    }

    /// <summary>Events are never held back, so all that is left at the cap is to break off.</summary>
    [Fact]
    public async Task Events_over_the_cap_are_broken_off()
    {
        var user = await fixture.Users.AddAsync();

        await Assert.ThrowsAsync<HttpRequestException>(() => http.CallAsync(user.Token, "/gpt/capped/endless?type=text/event-stream"));

        await Wait.UntilAsync(
            () => app.Log.Lines.Any(
                line => line.StartsWith("Warning 6022 ", StringComparison.Ordinal) && line.Contains("1000 characters", StringComparison.Ordinal)));
    }

    /// <summary>Compressed characters cannot be counted.</summary>
    [Fact]
    public async Task Compression_is_passed_on_where_there_is_no_cap_and_declined_where_there_is_one()
    {
        var user = await fixture.Users.AddAsync();

        using var open = await http.CallAsync(user.Token, "/gpt/open/gzip", headers: ("Accept-Encoding", "gzip"));
        using var capped = await http.CallAsync(user.Token, "/gpt/capped/gzip", headers: ("Accept-Encoding", "gzip"));

        Assert.Equal("gzip", Assert.Single(open.Content.Headers.ContentEncoding));
        Assert.Equal([0x1f, 0x8b], (await open.Content.ReadAsByteArrayAsync())[..2]);
        Assert.Equal("plain", await capped.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Head_is_answered_without_a_body_and_with_the_length()
    {
        var user = await fixture.Users.AddAsync();

        using var response = await http.CallAsync(user.Token, "/gpt/capped/huge?count=5000", HttpMethod.Head);

        Assert.Equal((HttpStatusCode.OK, 5000L), (response.StatusCode, response.Content.Headers.ContentLength));
    }

    /// <summary>A large upload streams through in both framings; one beyond the server's limit is told so.</summary>
    [Theory]
    [InlineData(20_000_000, true, HttpStatusCode.OK)]
    [InlineData(20_000_000, false, HttpStatusCode.OK)]
    [InlineData(101_000_000, true, HttpStatusCode.RequestEntityTooLarge)]
    [InlineData(101_000_000, false, HttpStatusCode.RequestEntityTooLarge)]
    public async Task Upload_of_any_framing_passes_up_to_the_limit(int size, bool isLengthKnown, HttpStatusCode expected)
    {
        var user = await fixture.Users.AddAsync();
        using var content = new StreamContent(new MemoryStream(new byte[size]));
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/gpt/open/sink", UriKind.Relative)) { Content = content };
        request.Headers.Authorization = new("Bearer", user.Token);
        request.Headers.TransferEncodingChunked = !isLengthKnown;
        request.Headers.ExpectContinue = true;

        using var response = await http.SendAsync(request);

        Assert.Equal(expected, response.StatusCode);
    }

    [Fact]
    public async Task Unknown_path_is_404_and_unlisted_method_405_that_lists_them()
    {
        using var unknown = await http.CallAsync(null, "/gpt/nothing/here");
        using var method = await http.CallAsync(null, "/gpt/expensive", HttpMethod.Put);

        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        await unknown.ProblemAsync();
        Assert.Equal(HttpStatusCode.MethodNotAllowed, method.StatusCode);
        Assert.Equal(["GET", "POST"], method.Content.Headers.Allow);
    }
}
