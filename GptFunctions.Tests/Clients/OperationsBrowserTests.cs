using GptFunctions.Tests.Connections;
using GptFunctions.Tests.Operations;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Clients;

/// <summary>operations.md 15: the pages for those on call in a real browser, on every screen, without script and with it, in every state.</summary>
public sealed class OperationsBrowserTests : IAsyncLifetime
{
    private static readonly string[] Looks = ["phone-light", "phone-dark", "desktop-light", "desktop-dark", "phone-light-script"];
    private TestApp app = null!;

    public async Task InitializeAsync() => app = await TestApp.StartAsync(nameof(OperationsBrowserTests), new() { ["OPERATORS"] = "user_operator" });

    public async Task DisposeAsync() => await app.DisposeAsync();

    [Fact]
    public async Task Pages_for_those_on_call_work_in_a_browser_on_every_screen()
    {
        await AddRowsAsync();
        var seen = await BrowserWalk.RunAsync("operations.mjs", app.BaseUrl);

        Assert.All(Looks, look => Assert.Contains($"operations-app-secret-{look}", seen)); // the last of each
    }

    private async Task AddRowsAsync()
    {
        foreach (var user in (string[])["user_ann", .. Looks.Select(look => "leaves-" + look)])
        {
            await ConnectionRows.AddAsync(app.Database, user, "Career Coach", "coach", sessions: user == "user_ann" ? 6 : 2);
            await ConnectionRows.AddAsync(app.Database, user, "Claude Code", "https://claude.ai/oauth/metadata", "metadata_document", host: "127.0.0.1:51234");
        }

        await app.Database.ExecuteAsync("""
            UPDATE users SET name = 'Ann Example', plan = 'pro', plan_status = 'active', stripe_customer_id = 'cus_R4nd0m' WHERE clerk_user_id = 'user_ann';
            INSERT INTO verification_sessions (order_id, customer_email, status, deadline, created_at)
            VALUES ('order-1001', 'user_ann@example.com', 'pending_verification', now() + interval '2 days', now());
            INSERT INTO webhook_events (source, event_id, type, subject, status, attempts, received_at, processed_at, error, payload)
            VALUES ('clerk', 'evt_1', 'user.updated', 'user_ann', 'completed', 1, now(), now(), NULL, NULL),
                   ('orders', 'evt_2', 'order.created', 'order-1001', 'failed', 3, now(), now(), 'the order has no total', '{}');
            INSERT INTO gpt_oauth_events (event_id, event_type, clerk_user_id, client_id, session_id, correlation_id, metadata, source, occurred_at)
            SELECT gen_random_uuid(), (ARRAY['gpt.oauth.token_refreshed', 'gpt.oauth.token_exchanged', 'gpt.operator.session_ended'])[1 + n % 3], 'user_ann',
                   'coach', gen_random_uuid(), md5(n::text), '{"scope": "jobs:read"}', 'test', now() - n * interval '1 minute'
            FROM generate_series(1, 55) n
            """);
        await HostileRows.AddAsync(app.Database);
    }
}
