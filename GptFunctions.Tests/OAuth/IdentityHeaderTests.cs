using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 5: who a person is comes from our own sign-in or a verified Clerk JWT, and from no header.</summary>
public sealed class IdentityHeaderTests(AppFixture<IdentityHeaderTests> fixture) : IClassFixture<AppFixture<IdentityHeaderTests>>
{
    private static readonly string[] Forged =
        [
            "x-clerk-user-id", "x-gpt-clerk-user-id", "x-internal-id", "x-user-id", "x-forwarded-user", "x-ms-client-principal", "x-ms-client-principal-id",
            "x-ms-client-principal-name", "x-auth-request-user", "remote-user"];

    private readonly TestApp app = fixture.App;

    [Fact]
    public async Task Whole_flow_with_forged_identity_headers_is_the_flow_of_the_person_who_signed_in()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        await app.Database.ExecuteAsync("INSERT INTO users (id, clerk_user_id, created_at) VALUES (gen_random_uuid(), 'user_victim', now())");
        using var forging = Forging();

        var tokens = await new OAuthFlow(forging).TokensAsync(client, "user_forger");

        Assert.Equal("user_forger", AccessTokenText.Claims(tokens["access_token"]!).GetProperty("sub").GetString());
        Assert.Equal(1, await app.Database.CountAsync("gpt_sessions session JOIN users ON users.id = session.user_id", "clerk_user_id = 'user_forger'"));
        Assert.Equal(0, await app.Database.CountAsync("gpt_sessions session JOIN users ON users.id = session.user_id", "clerk_user_id = 'user_victim'"));
    }

    [Fact]
    public async Task Authorize_with_forged_identity_headers_still_asks_to_sign_in()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        using var forging = Forging();

        using var response = await new OAuthFlow(forging).AuthorizeAsync(OAuthFlow.Parameters(client));

        Assert.StartsWith("/dev/sign-in?", response.Headers.Location!.OriginalString, StringComparison.Ordinal);
        Assert.Equal(0, await app.Database.CountAsync("gpt_authorization_requests", $"client_id = '{client.Id}'"));
    }

    [Theory]
    [InlineData("/oauth/sessions")]
    [InlineData("/oauth/consent?client_id=first-client")]
    public async Task Resource_of_a_person_with_forged_identity_headers_only_is_401(string path)
    {
        using var forging = Forging();

        using var response = await forging.GetAsync(new Uri(path, UriKind.Relative));

        Assert.Equal(System.Net.HttpStatusCode.Unauthorized, response.StatusCode);
    }

    private HttpClient Forging()
    {
        var http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false }) { BaseAddress = new Uri(app.BaseUrl) };
        foreach (var name in Forged)
        {
            http.DefaultRequestHeaders.Add(name, "user_victim");
        }

        return http;
    }
}
