using System.Net;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Mcp;

public sealed class KnownHostsFixture : McpFixture<KnownHostsTests>
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings =>
        [new("GPT_CLIENT_METADATA_LOOPBACK", "true"), new("UPSTREAM_KEY", "key-of-the-upstream")];
}

/// <summary>oauth.md 50: every host of infra/hosts.json gets in, knowing nothing but the URL.</summary>
public sealed class KnownHostsTests(KnownHostsFixture fixture) : IClassFixture<KnownHostsFixture>
{
    private const string Endpoint = "/gpt/mcp";
    private readonly TestApp app = fixture.App;

    public static TheoryData<string> Names { get; } = new(KnownHost.All.Select(host => host["name"]!.GetValue<string>()));

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Host_that_knows_the_url_signs_a_person_in_refreshes_and_calls_a_tool(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        await using var host = await KnownHost.StartAsync(name);
        var (resource, scopes, server) = await KnownHost.DiscoverAsync(app, Endpoint);
        var client = await host.IdentifyAsync(app, server);
        var browser = new TestBrowser(app.Http);

        using var page = await browser.SignInAsync($"user_of_{name.Replace(" ", "_", StringComparison.Ordinal).Replace(",", "", StringComparison.Ordinal)}",
            host.Authorize(client, resource, scopes));
        Assert.True(page.StatusCode == HttpStatusCode.OK, await page.Content.ReadAsStringAsync());
        using var approved = await browser.SubmitAsync(page, ("decision", "approve"));
        Assert.StartsWith(host.RedirectUri + "?", approved.Headers.Location!.OriginalString, StringComparison.Ordinal);
        Assert.Equal(app.BaseUrl, OAuthFlow.Parameter(approved.Headers.Location, "iss"));
        var tokens = await host.ExchangeAsync(app, client, OAuthFlow.Parameter(approved.Headers.Location, "code")!, resource);
        Assert.True(tokens.Status == HttpStatusCode.OK, tokens.Text);
        var refreshed = await host.RefreshAsync(app, client, tokens["refresh_token"], resource);

        Assert.True(refreshed.Status == HttpStatusCode.OK, refreshed.Text);
        Assert.Equal([resource], AccessTokenText.Audience(refreshed["access_token"]!));
        var list = await fixture.Client.SendAsync(refreshed["access_token"], "tools/list");
        var called = await fixture.Client.CallAsync(refreshed["access_token"], "answer", """{"what":"echo"}""");
        Assert.True(list.Result.GetProperty("tools").GetArrayLength() > 0);
        Assert.False(called.IsError, called.Text);
        Assert.DoesNotContain(app.Log.Lines, line => line.Contains(tokens["refresh_token"]!, StringComparison.Ordinal));
    }

    [Fact]
    public void List_has_each_known_host_with_source_and_date()
    {
        string[] known = ["ChatGPT", "Claude", "Claude Code", "Cursor", "VS Code", "Codex", "Gemini CLI", "MCP Inspector"];
        Assert.Empty(known.Except(KnownHost.All.Select(host => host["name"]!.GetValue<string>()), StringComparer.Ordinal));
        Assert.All(KnownHost.All, host =>
        {
            Assert.StartsWith("https://", host["source"]!.GetValue<string>(), StringComparison.Ordinal);
            Assert.True(DateOnly.TryParse(host["date"]!.GetValue<string>(), System.Globalization.CultureInfo.InvariantCulture, out _));
            Assert.True(host["document"] is null != host["registration"] is null);
        });
    }
}
