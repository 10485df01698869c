using System.Text.Json;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Clients;

/// <summary>
/// oauth.md 33 and 34: the whole flow in a real browser without script, on a phone and on a desktop, in light and in dark. No page scrolls sideways,
/// the keyboard reaches every button, contrast is that of WCAG AA, and form-action lets the answer through to the client's origin.
/// </summary>
public sealed class BrowserTests : IAsyncLifetime
{
    private TestApp app = null!;

    public async Task InitializeAsync() => app = await TestApp.StartAsync(nameof(BrowserTests), new() { ["GPT_MAX_SESSIONS_IN_ALL"] = "2" });

    public async Task DisposeAsync() => await app.DisposeAsync();

    [Fact]
    public async Task Pages_work_in_a_browser_without_script_on_every_screen()
    {
        var origin = $"http://127.0.0.1:{TestApp.FreePort()}";
        var clients = new List<object>();
        foreach (var name in (string[])
            [
                "Career Coach", "Résumé Reviewer of Example Industries International",
                "AVeryLongNameWithoutAnySpaceThatHasToBreakSomewhereOnASmallScreen",
            ])
        {
            var client = await OAuthFlow.AddClientAsync(app, $"{origin}/{clients.Count}/callback", name: name);
            clients.Add(new { id = client.Id, secret = client.Secret, redirectUri = client.RedirectUri });
        }

        var seen = await BrowserWalk.RunAsync("browser.mjs", app.BaseUrl, JsonSerializer.Serialize(clients));

        Assert.Equal(7 * 4, seen.Count);
    }
}
