using GptFunctions.Tests.Connections;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Clients;

/// <summary>connections.md 8: the pages of connected apps in a real browser, on every screen, without script and with it, in every state.</summary>
public sealed class ConnectionsBrowserTests : IAsyncLifetime
{
    private static readonly string[] Looks = ["phone-light", "phone-dark", "desktop-light", "desktop-dark", "phone-light-script"];
    private TestApp app = null!;

    public async Task InitializeAsync() => app = await TestApp.StartAsync(nameof(ConnectionsBrowserTests));

    public async Task DisposeAsync() => await app.DisposeAsync();

    [Fact]
    public async Task Pages_of_connected_apps_work_in_a_browser_on_every_screen()
    {
        foreach (var look in Looks)
        {
            await AddAppsAsync("connections-" + look);
        }

        var seen = await BrowserWalk.RunAsync("connections.mjs", app.BaseUrl);

        Assert.Equal(9 * Looks.Length, seen.Count);
    }

    private async Task AddAppsAsync(string user)
    {
        await ConnectionRows.AddAsync(app.Database, user, "Career Coach", sessions: 3);
        await ConnectionRows.AddAsync(
            app.Database, user, "Claude Code", $"https://claude.ai/{user}/metadata", "metadata_document", host: "127.0.0.1:51234",
            redirectUri: "http://127.0.0.1/callback", usedDaysAgo: 2);
        await ConnectionRows.AddAsync(
            app.Database, user, "Cursor", kind: "registered", host: "cursor:", redirectUri: "cursor://anysphere.cursor-mcp/oauth/callback",
            scopes: "{resume:read}", usedDaysAgo: 3);
        await ConnectionRows.AddAsync(app.Database, user, "Application Tracker", sessions: 0);
        var hostile = ConnectionRows.Hostile;
        foreach (var name in (string[])[hostile[0], hostile[1], hostile[6], hostile[7], new('W', 10_000)])
        {
            await ConnectionRows.AddAsync(app.Database, user, name, usedDaysAgo: 5);
        }
    }
}
