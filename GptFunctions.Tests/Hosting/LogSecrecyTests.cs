using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Hosting;

/// <summary>"No secret in the log": a whole flow with every kind of failure, and then a search for each value that nobody else may know.</summary>
public sealed class LogSecrecyTests(AppFixture<LogSecrecyTests> fixture) : IClassFixture<AppFixture<LogSecrecyTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;
    private readonly Dictionary<string, string> secrets = new(StringComparer.Ordinal);

    [Fact]
    public async Task Log_of_a_flow_with_failures_holds_no_secret()
    {
        var client = await OAuthFlow.AddClientAsync(app, isPublic: false);
        secrets["client secret"] = client.Secret!;
        foreach (var name in (string[])["GPT_CLIENT_SECRET", "GPT_REFRESH_KEY", "GPT_EC_PRIVATE_KEY"])
        {
            secrets[name] = app.Settings[name]!;
        }

        var code = await SignInAsync(client);
        var tokens = await ExchangeAndRefreshAsync(client, code);
        await FailAsync(client, code, tokens);

        var lines = app.Log.Lines.ToList();
        Assert.Contains(lines, line => line.StartsWith("Error 1001 ", StringComparison.Ordinal)); // the bug that FailAsync provoked: what fails is logged
        Assert.Contains(lines, line => line.StartsWith("Warning 1002 ", StringComparison.Ordinal)); // and so is the outage
        foreach (var (name, value) in secrets)
        {
            Assert.True(value.Length >= 20, $"The {name} is too short to be searched for.");
            var hash = Sha256.Of(value);
            foreach (var form in (string[])
                [value, Uri.EscapeDataString(value), Convert.ToHexString(hash), Convert.ToHexStringLower(hash), Convert.ToBase64String(hash)])
            {
                Assert.DoesNotContain(lines, line => line.Contains(form, StringComparison.Ordinal));
            }
        }
    }

    private async Task<string> SignInAsync(TestClient client)
    {
        secrets["state"] = Secret.New();
        secrets["code verifier"] = OAuthFlow.Verifier;
        var browser = new TestBrowser(app.Http);
        var parameters = OAuthFlow.Parameters(client, ("state", secrets["state"]), ("code_challenge", OAuthFlow.Challenge), ("code_challenge_method", "S256"));
        using var consent = await browser.SignInAsync("user_log", parameters);
        secrets["CSRF token"] = TestBrowser.HiddenFields(await consent.Content.ReadAsStringAsync()).Single(field => field.Name == "csrf").Value!;
        (secrets["cookie"], secrets["cookie after sign-in"]) = (browser.Cookies["gpt-request"], browser.Cookies["gpt-signed-in"]);
        using var redirect = await browser.SubmitAsync(consent, ("decision", "approve"));
        using var replayed = await browser.SubmitAsync(consent, ("decision", "approve"));
        Assert.Null(replayed.Headers.Location);
        return secrets["code"] = OAuthFlow.Parameter(redirect.Headers.Location!, "code")!;
    }

    private async Task<JsonAnswer> ExchangeAndRefreshAsync(TestClient client, string code)
    {
        var tokens = await flow.ExchangeAsync(client, code, ("code_verifier", OAuthFlow.Verifier));
        var refreshed = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        (secrets["access token"], secrets["refresh token"]) = (tokens["access_token"]!, tokens["refresh_token"]!);
        (secrets["second access token"], secrets["second refresh token"]) = (refreshed["access_token"]!, refreshed["refresh_token"]!);
        await flow.SessionsAsync(refreshed["access_token"]!);
        await flow.IntrospectAsync(client, refreshed["refresh_token"]!);
        return refreshed;
    }

    /// <summary>
    /// Refusals of every kind, a bug (a constraint that the program does not know of) and an outage (a statement that is cut off), each with secrets
    /// at hand.
    /// </summary>
    private async Task FailAsync(TestClient client, string code, JsonAnswer tokens)
    {
        secrets["wrong secret"] = Secret.New();
        await flow.RefreshAsync(client with { Secret = secrets["wrong secret"] }, tokens["refresh_token"]!);
        await flow.PostFormAsync(
            "/oauth/token", OAuthFlow.Basic(client.Id, secrets["wrong secret"]), ("grant_type", "refresh_token"),
            ("refresh_token", tokens["refresh_token"]));
        await flow.PostFormAsync("/oauth/token", null, ("refresh_token", tokens["refresh_token"]), ("client_secret", client.Secret));
        await flow.SessionsAsync(tokens["access_token"]! + "x");
        await flow.SendAsync(new HttpRequestMessage(HttpMethod.Get, "/oauth/token?refresh_token=" + tokens["refresh_token"]));
        using (await flow.AuthorizeAsync(OAuthFlow.Parameters(client, ("redirect_uri", "https://evil.example/?" + code), ("state", secrets["state"]))))
        {
            await app.Database.ExecuteAsync("ALTER TABLE gpt_refresh_tokens ADD CONSTRAINT surprise CHECK (generation < 2) NOT VALID");
            await flow.RefreshAsync(client, tokens["refresh_token"]!);
            await app.Database.ExecuteAsync("ALTER TABLE gpt_refresh_tokens DROP CONSTRAINT surprise");
        }

        await using (await app.Database.HoldAsync("SELECT FROM gpt_sessions FOR UPDATE"))
        {
            var refreshing = flow.RefreshAsync(client, tokens["refresh_token"]!);
            await app.Database.WaitForBlockedAsync(1);
            await app.Database.ExecuteAsync(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'");
            await refreshing;
        }

        await flow.ExchangeAsync(client, code); // replay
        await flow.RefreshAsync(client, tokens["refresh_token"]!); // revoked by it
    }
}
