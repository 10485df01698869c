using System.Text.Json;
using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Clients;

/// <summary>
/// pages.md 1 to 11 in a real browser: a company's pages in both languages, on every screen, with names that try to turn the text or to break out.
/// </summary>
public sealed class BrandBrowserTests : IAsyncLifetime
{
    private const string Logo = """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 40" width="160" height="40"><rect width="40" height="40" rx="9" fill="#7a1fa2"/>
        <path d="M12 20l6 7 11-14" stroke="#fff" stroke-width="4" fill="none"/>
        <text x="50" y="27" font-family="sans-serif" font-size="20" fill="#222">Example</text></svg>
        """;

    private TestApp app = null!;
    private TestApp production = null!;

    public async Task InitializeAsync()
    {
        var logo = Path.Combine(Directory.CreateTempSubdirectory("brand").FullName, "logo.svg");
        await File.WriteAllTextAsync(logo, Logo);
        var brand = new Dictionary<string, string?>
        {
            ["BRAND_NAME"] = "Example",
            ["BRAND_COLOR"] = "#7a1fa2",
            ["BRAND_LOGO"] = logo,
            ["BRAND_PRIVACY_URL"] = "https://www.example.com/privacy",
            ["BRAND_TERMS_URL"] = "https://www.example.com/terms",
            ["BRAND_SUPPORT_URL"] = "mailto:help@example.com",
        };
        app = await TestApp.StartAsync(nameof(BrandBrowserTests), new(brand) { ["GPT_CLIENT_REGISTRATION"] = "true" });
        production = await TestApp.StartAsync(nameof(BrandBrowserTests) + "_production", new(brand)
        {
            ["AZURE_FUNCTIONS_ENVIRONMENT"] = "Production",
            ["PUBLIC_BASE_URL"] = "https://api.example.com",
            ["CLERK_ISSUER"] = $"https://127.0.0.1:{TestApp.FreePort()}", // nobody listens
            ["CLERK_OAUTH_CLIENT_ID"] = "gpt-functions",
            ["CLERK_OAUTH_CLIENT_SECRET"] = "provider-secret",
            ["CLERK_AUTHORIZED_PARTIES"] = "https://app.example",
            ["RABBITMQ_URL"] = $"amqp://127.0.0.1:{TestApp.FreePort()}",
        });
    }

    public async Task DisposeAsync()
    {
        await production.DisposeAsync();
        await app.DisposeAsync();
    }

    [Fact]
    public async Task Pages_of_a_company_are_right_in_both_languages_on_every_screen()
    {
        var clients = new List<object> { Describe(await OAuthFlow.AddClientAsync(app, name: "Career Coach", isPublic: true)) };
        foreach (var (name, uri) in ((string, string)[])
            [
                ("مدرّب \u202Eالسيرة (admin)", "http://127.0.0.1:5123/callback"),
                (
                    "<script>alert(1)</script>\"><img src=x onerror=alert(2)>" + new string('W', 40),
                    "https://a-very-long-name-of-a-host.of-somebody.example/callback"),
            ])
        {
            clients.Add(await RegisterAsync(name, uri));
        }

        var seen = await BrowserWalk.RunAsync("brand.mjs", app.BaseUrl, production.Http.BaseAddress!.AbsoluteUri, JsonSerializer.Serialize(clients));

        Assert.Equal(6 * 5, seen.Count);
    }

    private async Task<object> RegisterAsync(string name, string uri)
    {
        using var body = new StringContent(
            new JsonObject { ["client_name"] = name, ["redirect_uris"] = new JsonArray(uri), ["token_endpoint_auth_method"] = "none" }.ToJsonString(),
            System.Text.Encoding.UTF8, "application/json");
        using var answer = await app.Http.PostAsync(new Uri("/oauth/register", UriKind.Relative), body);
        var id = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["client_id"]!.GetValue<string>();
        return Describe(new TestClient(id, null, uri));
    }

    private static object Describe(TestClient client) => new { id = client.Id, redirectUri = client.RedirectUri };
}
