using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Audit;

/// <summary>audit.md 6: without RABBITMQ_URL, in Development, the relay hands events to the audit trail in the same process.</summary>
public sealed class InProcessDeliveryTests : IAsyncLifetime
{
    private TestApp app = null!;

    public async Task InitializeAsync() =>
        app = await TestApp.StartAsync(nameof(InProcessDeliveryTests), new(StringComparer.Ordinal) { ["OUTBOX_RELAY"] = "true" });

    public async Task DisposeAsync() => await app.DisposeAsync();

    [Fact]
    public async Task Events_reach_the_audit_trail_and_the_log_says_how_once()
    {
        var flow = new OAuthFlow(app.Http);
        var client = await OAuthFlow.AddClientAsync(app);
        await flow.TokensAsync(client, "user_alice");
        await flow.TokensAsync(client, "user_bob");
        await Wait.UntilAsync(async () => await app.Database.CountAsync("gpt_oauth_events", "event_type LIKE 'gpt.oauth.%'") == 6);
        await Wait.UntilAsync(async () => await app.Database.CountAsync("outbox_messages") == 0); // which go after it
        Assert.Single(app.Log.Lines, line => line.Contains("inside this process", StringComparison.Ordinal));
    }
}
