using System.Diagnostics.Metrics;
using System.Net;
using System.Text.Json;
using GptFunctions.Tests.Support;
using GptFunctions.Tests.Webhooks;

namespace GptFunctions.Tests.Health;

public sealed class SafeModeFixture : GatewayFixture<SafeModeTests>
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings => WebhookSender.Settings.Append(new("SAFE_MODE", "true"));
}

/// <summary>health.md 13 to 15: nothing is done outside, reads go on, and everybody can see it. Callbacks: <see cref="Verification.CallbackTests"/>.</summary>
public sealed class SafeModeTests(SafeModeFixture fixture) : IClassFixture<SafeModeFixture>
{
    private readonly TestApp app = fixture.App;

    [Theory]
    [InlineData("/health")]
    [InlineData("/ready")]
    [InlineData("/__selftest")]
    [InlineData("/oauth/authorize")]
    [InlineData("/gpt/echo")]
    [InlineData("/no/such/path")]
    public async Task Every_answer_says_so(string path)
    {
        using var answer = await app.Http.GetAsync(new Uri(path, UriKind.Relative));
        Assert.Equal("true", Assert.Single(answer.Headers.GetValues("X-Safe-Mode")));
    }

    [Fact]
    public async Task Health_self_test_log_and_gauge_say_so()
    {
        Assert.Contains("\"safe_mode\":true", await app.Http.GetStringAsync(new Uri("/healthz", UriKind.Relative)), StringComparison.Ordinal);
        using var answer = await app.GetAsOperatorAsync("/__selftest");
        var matrix = new Matrix(answer.StatusCode, JsonElement.Parse(await answer.Content.ReadAsStringAsync()));
        Assert.Equal(HttpStatusCode.OK, matrix.Status);
        Assert.Equal(("degraded", true), (matrix.Json.GetProperty("status").GetString(), matrix.Json.GetProperty("safe_mode").GetBoolean()));
        Assert.Contains("callbacks safe_mode", matrix.NotOk);
        Assert.Equal(1, matrix.Json.GetProperty("metrics").GetProperty("safe_mode").GetInt32()); // one upstream of the fixture is down: that is worse
        Assert.StartsWith(
            "SAFE_MODE is true: consequential actions are not forwarded. 1 of 2 upstreams", matrix.Error("gateway_upstreams"), StringComparison.Ordinal);
        Assert.Single(app.Log.Lines, line => line.StartsWith("Warning 1061 Safe mode is on (SAFE_MODE is true): ", StringComparison.Ordinal));
        Assert.Contains(1, Gauges("gpt.safe_mode"));
    }

    [Fact]
    public async Task Action_that_changes_something_is_not_forwarded_and_recorded_as_skipped()
    {
        var user = await fixture.Users.AddAsync();
        var before = await fixture.Upstream.CountAsync("requests");
        using var body = new StringContent("{}");
        using var refused = await app.Http.CallAsync(user.Token, "/gpt/expensive", HttpMethod.Post, body);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.Null(refused.Headers.RetryAfter);
        Assert.Equal("SAFE_MODE", (await refused.ProblemAsync()).GetProperty("code").GetString());
        foreach (var method in (HttpMethod[])[HttpMethod.Put, HttpMethod.Patch, HttpMethod.Delete])
        {
            using var other = await app.Http.CallAsync(user.Token, "/gpt/echo", method);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, other.StatusCode);
        }

        Assert.Equal(before, await fixture.Upstream.CountAsync("requests"));
        var attempt = Assert.Single(await app.Database.EventsAsync("gpt.action.expensive", "clerk_user_id", user.Subject));
        IReadOnlyList<JsonElement> results = [];
        await Wait.UntilAsync(
            async () => (results = await app.Database.EventsAsync("gpt.action.expensive.result", "clerk_user_id", user.Subject)).Count == 1);
        var payload = results[0].GetProperty("payload");
        Assert.Equal(
            ("skipped", attempt.GetProperty("event_id").GetString()),
            (payload.GetProperty("status").GetString(), payload.GetProperty("action_id").GetString()));
    }

    [Fact]
    public async Task Action_that_only_reads_is_forwarded()
    {
        var user = await fixture.Users.AddAsync();
        var echo = await app.Http.EchoAsync(user);
        Assert.Equal("GET", echo.Method);
        using var head = await app.Http.CallAsync(user.Token, "/gpt/echo", HttpMethod.Head);
        Assert.Equal(HttpStatusCode.OK, head.StatusCode);
        using var read = await app.Http.CallAsync(user.Token, "/gpt/expensive");
        Assert.True(read.IsSuccessStatusCode);
    }

    /// <summary>A URL without the secret that signs: this receiver is told nothing, and everything else goes on.</summary>
    [Fact]
    public async Task Provider_without_its_credential_is_in_safe_mode_alone()
    {
        await using var lacking = await app.StartReplicaAsync(("SAFE_MODE", null), ("VERIFICATION_CALLBACK_URL", "http://127.0.0.1:1/callbacks"));
        using var answer = await lacking.GetAsOperatorAsync("/__selftest");
        Assert.Equal("true", Assert.Single(answer.Headers.GetValues("X-Safe-Mode")));
        var matrix = new Matrix(answer.StatusCode, JsonElement.Parse(await answer.Content.ReadAsStringAsync()));
        Assert.Contains("callbacks safe_mode", matrix.NotOk);
        Assert.Equal("VERIFICATION_CALLBACK_SECRET is not set: no callback is sent.", matrix.Error("callbacks"));
        Assert.Contains("\"safe_mode\":true", await lacking.Http.GetStringAsync(new Uri("/healthz", UriKind.Relative)), StringComparison.Ordinal);
        var user = await fixture.Users.AddAsync();
        using var body = new StringContent("{}");
        using var forwarded = await lacking.Http.CallAsync(user.Token, "/gpt/expensive", HttpMethod.Post, body);
        Assert.True(forwarded.IsSuccessStatusCode);
    }

    [Fact]
    public async Task Without_it_no_answer_says_so()
    {
        await using var usual = await app.StartReplicaAsync(("SAFE_MODE", null));
        using var answer = await usual.Http.GetAsync(new Uri("/healthz", UriKind.Relative));
        Assert.False(answer.Headers.Contains("X-Safe-Mode"));
        Assert.Contains("\"safe_mode\":false", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    /// <summary>What all apps of this process show.</summary>
    private static List<int> Gauges(string name)
    {
        var values = new List<int>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, listening) =>
        {
            if (instrument.Meter.Name == "GptFunctions.Health" && instrument.Name == name)
            {
                listening.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<int>((_, value, _, _) => values.Add(value));
        listener.Start();
        listener.RecordObservableInstruments();
        return values;
    }
}
