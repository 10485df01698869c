using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Hosting;

/// <summary>Requests that are unusual, but not wrong everywhere: HEAD where pages and lists are, and Host headers that are no names.</summary>
public sealed class OddRequestTests(AppFixture<OddRequestTests> fixture) : IClassFixture<AppFixture<OddRequestTests>>
{
    private readonly TestApp app = fixture.App;

    [Fact]
    public async Task Head_on_authorize_answers_and_starts_nothing()
    {
        var query =
            $"client_id={app.Settings["GPT_CLIENT_ID"]}&response_type=code&redirect_uri={Uri.EscapeDataString(app.Settings["GPT_REDIRECT_URI"]!)}"
            + $"&scope=jobs%3Aread&state=x&code_challenge={new string('a', 43)}&code_challenge_method=S256";
        using var connection = new RawConnection(app.Http);

        var head = await connection.CallAsync("HEAD", "/oauth/authorize?" + query, null);

        Assert.Equal((200, "", null, "no-store"), (head.Status, head.Text, head["Set-Cookie"], head["Cache-Control"]));
        Assert.Equal(0, await app.Database.CountAsync("gpt_authorization_requests", "true"));
    }

    [Fact]
    public async Task Head_on_sessions_answers_as_get_does_without_the_list()
    {
        var user = await new GatewayUsers(app).AddAsync();
        using var connection = new RawConnection(app.Http);

        var get = await connection.CallAsync("GET", "/oauth/sessions", user.Token);
        var head = await connection.CallAsync("HEAD", "/oauth/sessions", user.Token);
        var refused = await connection.CallAsync("HEAD", "/oauth/sessions", null);

        Assert.Equal((200, 200, "", 401), (get.Status, head.Status, head.Text, refused.Status));
        Assert.Equal(get["Content-Type"], head["Content-Type"]);
        Assert.NotNull(refused["WWW-Authenticate"]);
    }

    /// <summary>Pages are given URLs of PUBLIC_BASE_URL, whatever the caller calls us.</summary>
    [Theory]
    [InlineData("a..b")]
    [InlineData("-")]
    [InlineData("xn--")]
    [InlineData("x:99999")]
    [InlineData("a_b")]
    internal async Task Host_that_is_no_name_is_no_error_of_ours(string host)
    {
        string[] targets =
        [
            "/oauth/authorize", "/oauth/authorize?client_id=nobody", "/oauth/callback", "/health", "/.well-known/oauth-authorization-server", "/gpt/x",
        ];
        foreach (var target in targets)
        {
            using var connection = new RawConnection(app.Http);
            var answer = await connection.CallAsync("GET", $"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");

            Assert.True(answer.Status < 500, $"{target} {answer.Status} {answer.Text}");
            Assert.DoesNotContain(host.Length > 2 ? host : "a..b", answer.Text, StringComparison.Ordinal);
        }
    }
}
