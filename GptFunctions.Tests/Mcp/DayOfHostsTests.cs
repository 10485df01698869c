using System.Net;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Mcp;

public sealed class DayOfHostsFixture : McpFixture<DayOfHostsTests>
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings =>
        [new("GPT_CLIENT_METADATA_LOOPBACK", "true"), new("UPSTREAM_KEY", "key-of-the-upstream")];
}

/// <summary>
/// oauth.md 51: a day of hosts as they are. They refresh early, from two machines at once, sometimes without having had the last answer; they forget
/// that they have registered; they come back without a scope. One person, who signs in once for each of them.
/// </summary>
public sealed class DayOfHostsTests(DayOfHostsFixture fixture) : IClassFixture<DayOfHostsFixture>
{
    private const string Person = "user_with_a_day";
    private const string Endpoint = "/gpt/mcp";
    private static readonly TimeSpan Early = TimeSpan.FromMinutes(12); // of fifteen
    private readonly TestApp app = fixture.App;

    [Fact]
    public async Task Day_of_hosts_is_one_client_one_session_and_one_sign_in_for_each()
    {
        using var east = Machine("192.0.2.1");
        using var west = Machine("198.51.100.1");
        var connections = new List<Connection>();
        foreach (var name in (string[])["Claude", "ChatGPT, where it registers", "ChatGPT"])
        {
            connections.Add(await ConnectAsync(await KnownHost.StartAsync(name)));
        }

        var repeated = 0;
        for (var time = TimeSpan.Zero; time < TimeSpan.FromDays(1); time += Early)
        {
            app.Clock.Advance(Early);
            var step = (int)(time / Early);
            foreach (var connection in connections)
            {
                // Two machines, one token: both are answered, with the same successor.
                var both = await Task.WhenAll(connection.RefreshAsync(app, east), connection.RefreshAsync(app, west));
                Assert.All(both, answer => Assert.True(answer.Status == HttpStatusCode.OK, answer.Text));
                Assert.Single(both.Select(answer => answer["refresh_token"]).Distinct());
                Assert.All(both, answer => Assert.Equal(connection.Scope, answer["scope"]));
                repeated++;

                if (step % 10 != 3)
                {
                    connection.RefreshToken = both[0]["refresh_token"]!;
                }

                // Else neither answer arrived; a minute later the host tries again with what it has.
                else
                {
                    app.Clock.Advance(TimeSpan.FromMinutes(1));
                    var again = await connection.RefreshAsync(app, east);
                    Assert.True(again.Status == HttpStatusCode.OK, again.Text);
                    connection.RefreshToken = again["refresh_token"]!;
                }

                if (step % 6 == 0)
                {
                    // It connects anew: discovery, registration (twenty in all), and a refresh, since it has a token; no scope is named.
                    var (_, _, server) = await KnownHost.DiscoverAsync(app, Endpoint);
                    Assert.Equal(connection.ClientId, await connection.Host.IdentifyAsync(app, server));
                    Assert.Equal(200, (await fixture.Client.SendAsync(both[1]["access_token"], "tools/list")).Status);
                }
            }
        }

        Assert.Equal(3 * 120, repeated);
        foreach (var connection in connections)
        {
            Assert.Equal(1, await app.Database.CountAsync("gpt_sessions", $"client_id = '{connection.ClientId}'")); // none took another's place
            Assert.Single(await app.Database.EventsAsync(AuditEvents.SignedIn, "client_id", connection.ClientId));
            Assert.Empty(await app.Database.EventsAsync(AuditEvents.ReplayDetected, "client_id", connection.ClientId));
            Assert.Empty(await app.Database.EventsAsync(AuditEvents.SessionRevoked, "client_id", connection.ClientId));
            await connection.Host.DisposeAsync();
        }

        Assert.Equal(connections.Count, await app.Database.CountAsync("gpt_clients", "kind IN ('registered', 'metadata_document')"));
    }

    private async Task<Connection> ConnectAsync(KnownHost host)
    {
        var (resource, scopes, server) = await KnownHost.DiscoverAsync(app, Endpoint);
        var client = await host.IdentifyAsync(app, server);
        var browser = new TestBrowser(app.Http);
        using var page = await browser.SignInAsync(Person, host.Authorize(client, resource, scopes));
        using var approved = await browser.SubmitAsync(page, ("decision", "approve"));
        var tokens = await host.ExchangeAsync(app, client, OAuthFlow.Parameter(approved.Headers.Location!, "code")!, resource);
        Assert.True(tokens.Status == HttpStatusCode.OK, tokens.Text);
        return new Connection(host, client, resource, tokens["scope"]!) { RefreshToken = tokens["refresh_token"]! };
    }

    private HttpClient Machine(string address) => new(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false })
    {
        BaseAddress = app.Http.BaseAddress,
        DefaultRequestHeaders = { { "X-Real-IP", address } },
    };

    private sealed record Connection(KnownHost Host, string ClientId, string Resource, string Scope)
    {
        public required string RefreshToken { get; set; }

        public Task<JsonAnswer> RefreshAsync(TestApp app, HttpClient from) => Host.RefreshAsync(app, ClientId, RefreshToken, Resource, from);
    }
}
