using System.Net;
using GptFunctions.Gateway;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Gateway;

/// <summary>gateway.md 1 and 11: no spelling of a header or path makes the upstream see somebody else, or something else.</summary>
public sealed class SpoofingTests(GatewayFixture<SpoofingTests> fixture) : IClassFixture<GatewayFixture<SpoofingTests>>
{
    private static readonly string[] OurHeaders = [
        "x-internal-id", "x-clerk-user-id", "x-gpt-client-id", "x-gpt-scopes", "x-gpt-assertion", "x-correlation-id", "traceparent",
        "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "host",
    ];
    private readonly TestApp app = fixture.App;
    private readonly HttpClient http = fixture.App.Http;

    public static TheoryData<string> ForgedHeaders { get; } =
    [
        "x-internal-id", "X-INTERNAL-ID", "X-Internal-Id", "x_internal_id", "X_INTERNAL_ID", "x-internal_id", "x.internal.id", "x-internal.id",
        "X~Internal~Id", "x`internal`id", "x|internal|id", "x-internal-anything",
        "x-clerk-user-id", "X_Clerk_User_Id", "x-clerk-org-role",
        "x-gpt-plan", "x-gpt-plan-status", "x-gpt-scopes", "x-gpt-client-id", "X-GPT-Assertion", "x_gpt_assertion", "x-gpt-anything",
        "x-user-id", "x_user_id", "X-User-Email", "x-user-role",
        "x-ms-client-principal", "x-ms-client-principal-id", "x-ms-token-aad-access-token", "x-auth-request-user", "x-authenticated-userid", "x-remote-user",
        "remote-user", "Remote_User",
        "x-forwarded-for", "x-forwarded-user", "X_Forwarded_Email", "x-forwarded-host", "x-forwarded-access-token", "forwarded", "x-real-ip", "true-client-ip",
        "x-original-url", "x-rewrite-url", "X-HTTP-Method-Override", "x_http_method_override", "x-method-override",
        "authorization", "cookie", "proxy-authorization", "te", "upgrade", "keep-alive", "trailer",
    ];

    [Theory]
    [MemberData(nameof(ForgedHeaders))]
    public async Task Forged_header_never_reaches_the_upstream(string name)
    {
        var user = await fixture.Users.AddAsync(plan: "free");

        var (status, body) = await RawHttp.SendAsync(http, "/gpt/echo", user.Token, name is "authorization" ? [] : [$"{name}: forged", $"{name}:forged"]);

        Assert.True(status == 200, body);
        AssertGenuine(user, Echo.Of(body));
        Assert.DoesNotContain("forged", body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("x-internal-id:\tforged")]
    [InlineData("x-internal-id:")]
    [InlineData("Connection: x-internal-id, x-gpt-plan")]
    [InlineData("Connection: x-forwarded-for, traceparent, host")]
    public async Task Forged_header_in_an_odd_form_changes_nothing(string line)
    {
        var user = await fixture.Users.AddAsync(plan: "free");

        var (status, body) = await RawHttp.SendAsync(http, "/gpt/echo", user.Token, [line]);

        Assert.True(status == 200, body);
        AssertGenuine(user, Echo.Of(body));
    }

    /// <summary>What no server should take for a header at all.</summary>
    [Theory]
    [InlineData("x-internal-id : forged")]
    [InlineData(" x-internal-id: forged")]
    [InlineData("x-intern\u00e4l-id: forged")]
    [InlineData("x-internal-\u0131d: forged")] // the dotless i
    [InlineData("x-internal-id\0: forged")]
    [InlineData("a: b\rx-internal-id: forged")]
    public async Task Malformed_header_is_refused(string line)
    {
        var user = await fixture.Users.AddAsync();
        var before = await fixture.Upstream.CountAsync("requests");

        var (status, _) = await RawHttp.SendAsync(http, "/gpt/echo", user.Token, [line]);

        Assert.Equal(400, status);
        Assert.Equal(before, await fixture.Upstream.CountAsync("requests"));
    }

    [Fact]
    public async Task Two_authorization_headers_are_no_token()
    {
        var (one, two) = (await fixture.Users.AddAsync(), await fixture.Users.AddAsync());

        Assert.Equal(401, (await RawHttp.SendAsync(http, "/gpt/echo", one.Token, [$"Authorization: Bearer {two.Token}"])).Status);
        Assert.Equal(401, (await RawHttp.SendAsync(http, "/gpt/echo", one.Token + "," + two.Token, [])).Status);
        Assert.Equal(401, (await RawHttp.SendAsync(http, "/gpt/echo", one.Token + " x", [])).Status);
    }

    /// <summary>RFC 9110 7.6.1: what the Connection header names is for this connection.</summary>
    [Fact]
    public async Task Headers_named_by_connection_stay_behind_and_others_pass()
    {
        var user = await fixture.Users.AddAsync();

        var echo = await http.EchoAsync(
            user, headers: [("Connection", "x-request-id"), ("X-Request-Id", "1"), ("Idempotency-Key", "a, b"), ("Accept-Language", "de")]);
        var (_, body) = await RawHttp.SendAsync(http, "/gpt/echo", user.Token, ["if-match: \u00fcber"]);

        Assert.Null(echo["x-request-id"]);
        Assert.Equal("a, b", echo["idempotency-key"]);
        Assert.Equal("de", echo["accept-language"]);
        Assert.Equal("\u00c3\u00bcber", Echo.Of(body)["if-match"]); // Node.js reads the same octets as Latin-1
    }

    /// <summary>gateway.md 1: A removed identity header is counted and logged by name, never by value.</summary>
    [Fact]
    public async Task Forged_identity_headers_are_counted_and_logged_by_name()
    {
        var user = await fixture.Users.AddAsync();
        using var counted = new MeterReading("GptFunctions.Gateway", "gpt.gateway.identity_headers");

        await http.EchoAsync(user, headers: [("x-internal-id", "somebody-else"), ("X_User_Role", "admin-of-everything"), ("x-correlation-id", "spoof-1")]);

        Assert.True(counted.Total >= 2);
        Assert.Contains(
            app.Log.Lines,
            line => line.StartsWith("Warning 6020 ", StringComparison.Ordinal) && line.Contains("x-internal-id", StringComparison.Ordinal)
                && line.Contains("X_User_Role", StringComparison.Ordinal) && line.Contains("spoof-1", StringComparison.Ordinal));
        Assert.DoesNotContain(
            app.Log.Lines,
            line => line.Contains("somebody-else", StringComparison.Ordinal) || line.Contains("admin-of-everything", StringComparison.Ordinal));
    }

    /// <summary>Control characters in path or query: 400 before anything is forwarded. The encoded ones that a text consists of are data in a query.</summary>
    [Theory]
    [InlineData("/gpt/items/a%01b", 400)]
    [InlineData("/gpt/items/a%0d%0ab", 400)]
    [InlineData("/gpt/items/a%7fb", 400)]
    [InlineData("/gpt/items/a%C2%85b", 400)]
    [InlineData("/gpt/nothing%09here", 400)]
    [InlineData("/gpt/echo?a=\u0001", 400)]
    [InlineData("/gpt/echo?a=\tb", 400)]
    [InlineData("/gpt/echo?a=\u007f", 400)]
    [InlineData("/gpt/echo?a=\0", 400)]
    [InlineData("/gpt/echo?a=%00", 400)]
    [InlineData("/gpt/echo?%1b=a", 400)]
    [InlineData("/gpt/echo?a=%7F", 400)]
    [InlineData("/gpt/echo?a=%0d%0a%09b", 200)]
    [InlineData("/gpt/echo?a=%", 200)]
    [InlineData("/gpt/echo?a=%1", 200)]
    public async Task Control_character_in_path_or_query_is_400_and_not_forwarded(string target, int expected)
    {
        var user = await fixture.Users.AddAsync();
        var before = await fixture.Upstream.CountAsync("requests");

        var (status, body) = await RawHttp.SendAsync(http, target, user.Token, []);

        Assert.True(expected == status, $"{status} {body}");
        Assert.Equal(before + (expected == 200 ? 1 : 0), await fixture.Upstream.CountAsync("requests"));
    }

    [Theory]
    [InlineData("/gpt/items/a%2Fb")]
    [InlineData("/gpt/items/a%2fb")]
    [InlineData("/gpt/items/..%2F..%2Fadmin")]
    [InlineData("/gpt/items/%2e%2e%2f%2e%2e")]
    [InlineData("/gpt/items/..%5C..")]
    [InlineData("/gpt/items/a%5cb")]
    [InlineData("/gpt/items/a\\b")]
    [InlineData("/gpt/items/%252e%252e")]
    [InlineData("/gpt/items/a%252Fb")]
    [InlineData("/gpt/items/%00")]
    [InlineData("/gpt/items/a%0d%0ax-internal-id:%20forged")]
    [InlineData("/gpt/items/")]
    [InlineData("/gpt/items//")]
    [InlineData("/gpt/items/a/")]
    [InlineData("/gpt/items/a/b")]
    [InlineData("/gpt//echo")]
    [InlineData("//gpt/echo")]
    [InlineData("/gpt/echo/")]
    [InlineData("/gpt/echo/..")]
    [InlineData("/gpt/echo/../../admin")]
    [InlineData("/gpt/Echo")]
    [InlineData("/gpt/echo;admin=1")]
    [InlineData("/gpt/echo%20")]
    [InlineData("/gpt/echo%3Fa")]
    [InlineData("/gpt")]
    [InlineData("/gpt/")]
    public async Task Path_tricks_reach_no_upstream(string target)
    {
        var user = await fixture.Users.AddAsync();
        var before = await fixture.Upstream.CountAsync("requests");

        var (status, body) = await RawHttp.SendAsync(http, target, user.Token, []);

        Assert.True(status is 400 or 404, $"{status} {body}");
        Assert.Equal(before, await fixture.Upstream.CountAsync("requests"));
    }

    /// <summary>What is left of them stays one segment of the path that the route says.</summary>
    [Theory]
    [InlineData("/gpt/items/42", "/base/things/42/details")]
    [InlineData("/gpt/items/a%20b", "/base/things/a%20b/details")]
    [InlineData("/gpt/items/a;b=c", "/base/things/a%3Bb%3Dc/details")]
    [InlineData("/gpt/items/a%3Fb%23c", "/base/things/a%3Fb%23c/details")]
    [InlineData("/gpt/items/...", "/base/things/.../details")]
    [InlineData("/gpt/items/%C3%BC", "/base/things/%C3%BC/details")]
    [InlineData("/gpt/items/%EF%BC%8E%EF%BC%8E", "/base/things/%EF%BC%8E%EF%BC%8E/details")] // full-width dots
    [InlineData("/gpt/items/Special", "/base/things/Special/details")]
    [InlineData("/gpt/items/special", "/gpt/items/special")] // the more specific route
    [InlineData("/gpt/other/../items/42", "/base/things/42/details")] // the route of what it comes to
    [InlineData("/gpt/%65cho?x=%2e%2e", "/echo?x=%2e%2e")]
    [InlineData("/gpt/echo?a=b#fragment", "/echo?a=b")]
    public async Task Path_is_rebuilt_from_the_route(string target, string expected)
    {
        var user = await fixture.Users.AddAsync();

        var (status, body) = await RawHttp.SendAsync(http, target, user.Token, []);

        Assert.True(status == 200, $"{status} {body}");
        Assert.Equal(expected, Echo.Of(body).Url);
    }

    /// <summary>Upstreams must not tell clients what they were told about the user.</summary>
    [Theory]
    [InlineData("x-internal-id", HeaderRule.Identity)]
    [InlineData("X_GPT_PLAN", HeaderRule.Identity)]
    [InlineData("remote-user", HeaderRule.Identity)]
    [InlineData("Set-Cookie", HeaderRule.Remove)]
    [InlineData("x-powered-by", HeaderRule.Pass)]
    [InlineData("content-type", HeaderRule.Pass)]
    internal void OfResponse_knows_what_stays_inside(string name, HeaderRule expected) => Assert.Equal(expected, HeaderRules.OfResponse(name));

    private void AssertGenuine(GatewayUser user, Echo echo)
    {
        Assert.All(OurHeaders, name => Assert.False(string.IsNullOrEmpty(echo[name]), name)); // there, and once: the indexer refuses a second one
        Assert.Equal(user.Id.ToString(), echo["x-internal-id"]);
        Assert.Equal(user.Subject, echo["x-clerk-user-id"]);
        Assert.Equal(user.ClientId, echo["x-gpt-client-id"]);
        Assert.Equal(GatewayUsers.AllScopes, echo["x-gpt-scopes"]);
        Assert.Equal("free", echo["x-gpt-plan"]);
        Assert.Equal("127.0.0.1", echo["x-forwarded-for"]);
        Assert.Equal(new Uri(app.BaseUrl).Authority, echo["x-forwarded-host"]);
        Assert.Equal(new Uri(fixture.Upstream.Url).Authority, echo["host"]);
        Assert.Null(echo["authorization"]);
        Assert.Equal("GET", echo.Method);
    }
}
