using System.Net.Http.Headers;
using GptFunctions.Data;
using GptFunctions.Gateway;
using GptFunctions.RateLimits;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Gateway;

/// <summary>health.md 16: what the meters say of calls, of their limits and of what was known from memory.</summary>
public sealed class GatewayMetricsTests(GatewayFixture<GatewayMetricsTests> fixture) : IClassFixture<GatewayFixture<GatewayMetricsTests>>
{
    private const int CallsOfAMinute = 10;
    private readonly TestApp app = fixture.App;

    [Fact]
    public async Task Calls_are_counted_by_route_and_outcome_with_what_the_gateway_added()
    {
        var user = await fixture.Users.AddAsync("user_calls_counted");
        using var reading = new MeterReading(app.Get<GatewayMetrics>().Meter);
        using var limits = new MeterReading(app.Get<RateLimitMetrics>().Meter);
        using var memory = new MeterReading(app.Get<CacheMetrics>().Meter);

        for (var call = 0; call <= CallsOfAMinute; call++)
        {
            await SendAsync("/gpt/expensive", user.Token); // one more than the limit
        }

        await SendAsync("/gpt/echo", null);
        await SendAsync("/gpt/nowhere", null);

        var calls = reading.Series.Where(one => one.Key.StartsWith("gpt.gateway.calls", StringComparison.Ordinal)).ToDictionary();
        Assert.Equal(CallsOfAMinute, calls.Where(one => one.Key.Contains("route=expensive", StringComparison.Ordinal)).Sum(one => one.Value));
        Assert.Equal(1, calls["gpt.gateway.calls{outcome=rate_limited,route=none}"]);
        Assert.Equal(1, calls["gpt.gateway.calls{outcome=token_missing,route=none}"]);
        Assert.Equal(1, calls["gpt.gateway.calls{outcome=not_found,route=none}"]);
        Assert.Equal(CallsOfAMinute, reading.Series["gpt.gateway.added{route=expensive}"]);
        Assert.Equal(1, limits.Series["gpt.limits.refused{limit=expensive}"]);
        Assert.Equal(1, memory.Series["gpt.cache.reads{cache=users,outcome=miss}"]);
        Assert.Equal(CallsOfAMinute, memory.Series["gpt.cache.reads{cache=users,outcome=hit}"]);
        Assert.Equal(CallsOfAMinute, memory.Series["gpt.cache.reads{cache=sessions,outcome=hit}"]);
    }

    private async Task SendAsync(string path, string? token)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(path, UriKind.Relative));
        request.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        using var answer = await app.Http.SendAsync(request);
    }
}
