using System.Net;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests;

public sealed class SmokeTests : IAsyncLifetime
{
    private TestApp app = null!;

    public async Task InitializeAsync() => app = await TestApp.StartAsync(nameof(SmokeTests));

    public async Task DisposeAsync() => await app.DisposeAsync();

    [Fact]
    public async Task Whole_flow_ends_in_revoked_tokens()
    {
        var flow = new OAuthFlow(app.Http);
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_alice", ("scope", "jobs:read"));
        var refreshed = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        Assert.Equal(HttpStatusCode.OK, refreshed.Status);
        Assert.Equal("True", (await flow.IntrospectAsync(client, refreshed["access_token"]!))["active"]);
        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(refreshed["access_token"]!)).Status);
        Assert.Equal(HttpStatusCode.OK, (await flow.RevokeAsync(client, refreshed["refresh_token"]!)).Status);
        Assert.Equal("""{"active":false}""", (await flow.IntrospectAsync(client, refreshed["access_token"]!)).Text);
    }
}
