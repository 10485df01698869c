using GptFunctions.Statistics;
using GptFunctions.Tests.Operations;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Clients;

/// <summary>
/// The overview and the sign-ins of those on call, in a real browser: on a phone and on a desktop, in light and in dark, mostly without script.
/// </summary>
public sealed class OverviewBrowserTests(OperationsFixture<OverviewBrowserTests> fixture) : IClassFixture<OperationsFixture<OverviewBrowserTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Fact]
    public async Task Overview_and_sign_ins_work_in_a_browser_on_every_screen()
    {
        await FillAsync();
        var seen = await BrowserWalk.RunAsync("overview.mjs", app.BaseUrl, OperationsFixture<OverviewBrowserTests>.Operator);

        Assert.Equal(3 * 5, seen.Count);
    }

    /// <summary>Two days, two versions, and sign-ins of several kinds.</summary>
    private async Task FillAsync()
    {
        await app.Database.ExecuteAsync("""
            INSERT INTO hourly_counts (hour, kind, outcome, count)
            SELECT date_trunc('hour', now(), 'UTC') - n * interval '1 hour', kind, outcome, 1 + (abs(sin(n / 7.0)) * share)::int
            FROM generate_series(0, 47) n, (VALUES ('webhook', 'completed', 90), ('webhook', 'ignored', 20), ('webhook', 'failed', 5),
                ('refresh', 'granted', 400), ('refresh', 'refused', 12), ('exchange', 'granted', 30), ('exchange', 'refused', 3),
                ('sign_in', 'started', 60), ('sign_in', 'signed_in', 50), ('sign_in', 'asked', 40), ('sign_in', 'approved', 38), ('sign_in', 'connected', 36)
            ) AS counted (kind, outcome, share);
            INSERT INTO refusals (hour, endpoint, reason, client_id, count)
            SELECT date_trunc('hour', now(), 'UTC') - n * interval '1 hour', '/oauth/token', reason, '', 1 + n % 5
            FROM generate_series(0, 47) n, unnest(ARRAY['refresh_expired', 'client_secret_wrong', 'token_expired', 'not_found', 'rate_limited', 'code_expired',
                'redirect_uri_unregistered']) reason;
            INSERT INTO replicas (instance, name, role, version, safe_mode, started_at, seen_at, batch) VALUES
                (gen_random_uuid(), 'gpt-functions-timers-5d8f9c7b6-abcde/1', 'timers', '1.4.0+0123456789abcdef', false, now() - interval '1 day', now(), 1)
            """);
        var client = await OAuthFlow.AddClientAsync(app, name: "Résumé Reviewer of Example Industries International");
        await flow.CodeAsync(client, "user_never");
        app.Clock.Advance(TimeSpan.FromMinutes(3));
        await flow.TokensAsync(client, "user_connected");
        app.Clock.Advance(TimeSpan.FromSeconds(1));
        using var refused = await flow.AuthorizeAsync(OAuthFlow.Parameters(
            client, ("redirect_uri", "https://chatgpt.com/aip/" + new string('x', 39) + "/\u202E<script>alert(1)</script>/oauth/callback?a=b")));
        await app.Get<StatisticsWriter>().WriteAsync(false);
    }
}
