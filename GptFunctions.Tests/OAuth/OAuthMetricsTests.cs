using GptFunctions.OAuth;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>health.md 16: what the meters say of sign-ins and token requests, of one client's life.</summary>
public sealed class OAuthMetricsTests(AppFixture<OAuthMetricsTests> fixture) : IClassFixture<AppFixture<OAuthMetricsTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Fact]
    public async Task Life_of_a_client_is_counted_by_step_grant_and_outcome()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        using var reading = new MeterReading(app.Get<OAuthMetrics>().Meter);

        var first = await flow.TokensAsync(client, "user_counted"); // asked
        await flow.TokensAsync(client, "user_counted"); // and remembered
        await flow.RefreshAsync(client, first["refresh_token"]!);
        await flow.RefreshAsync(client, first["refresh_token"]!); // within the grace
        await app.Database.ExecuteAsync("UPDATE gpt_refresh_tokens SET rotated_at = rotated_at - interval '1 hour' WHERE rotated_at IS NOT NULL");
        await flow.RefreshAsync(client, first["refresh_token"]!); // nothing of its successor was used: the answer was lost
        await flow.RefreshAsync(client, "gpt_rt_unknown");
        await flow.PostAsync("/oauth/token", client, ("grant_type", "a value of somebody's own"));
        using (await app.Http.GetAsync(new Uri("/oauth/token", UriKind.Relative)))
        {
            // 405, and no token request.
        }

        await app.Database.ExecuteAsync("ALTER TABLE gpt_refresh_tokens RENAME TO away");
        await flow.RefreshAsync(client, first["refresh_token"]!);
        await app.Database.ExecuteAsync("ALTER TABLE away RENAME TO gpt_refresh_tokens");

        Assert.Equal(
            new Dictionary<string, long>(StringComparer.Ordinal)
            {
                ["gpt.oauth.sign_ins{step=started}"] = 2,
                ["gpt.oauth.sign_ins{step=signed_in}"] = 2,
                ["gpt.oauth.sign_ins{step=asked}"] = 1,
                ["gpt.oauth.sign_ins{step=approved}"] = 2,
                ["gpt.oauth.sign_ins{step=connected}"] = 2,
                ["gpt.oauth.token_requests{grant=authorization_code,outcome=granted}"] = 2,
                ["gpt.oauth.token_requests{grant=refresh_token,outcome=granted}"] = 1,
                ["gpt.oauth.token_requests{grant=refresh_token,outcome=repeated}"] = 1,
                ["gpt.oauth.token_requests{grant=refresh_token,outcome=recovered}"] = 1,
                ["gpt.oauth.token_requests{grant=refresh_token,outcome=refresh_malformed}"] = 1,
                ["gpt.oauth.token_requests{grant=refresh_token,outcome=failed}"] = 1,
                ["gpt.oauth.token_requests{grant=other,outcome=unsupported_grant_type}"] = 1,
                ["gpt.oauth.token_duration{grant=authorization_code,result=ok}"] = 2,
                ["gpt.oauth.token_duration{grant=refresh_token,result=ok}"] = 3,
                ["gpt.oauth.token_duration{grant=refresh_token,result=refused}"] = 1,
                ["gpt.oauth.token_duration{grant=refresh_token,result=failed}"] = 1,
                ["gpt.oauth.token_duration{grant=other,result=refused}"] = 1,
            }.OrderBy(one => one.Key, StringComparer.Ordinal),
            reading.Series.OrderBy(one => one.Key, StringComparer.Ordinal));
    }
}
