using System.Net;
using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Tests.OAuth;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Data;

/// <summary>Rules that compare times of several processes go by the database's clock, whatever each process' own one says.</summary>
public sealed class DatabaseClockTests(AppFixture<DatabaseClockTests> fixture) : IClassFixture<AppFixture<DatabaseClockTests>>
{
    private static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(5); // of a loaded machine
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    /// <summary>Three minutes are more than the grace: by its own clock, the second replica would take the repeat for a replay and end the session.</summary>
    [Theory]
    [InlineData(3)]
    [InlineData(-3)]
    public async Task Honest_retry_on_a_replica_with_a_wrong_clock_is_no_replay(int minutes)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, $"user_clock_{minutes}");
        var second = await flow.RefreshAsync(client, tokens["refresh_token"]!);
        await flow.SessionsAsync(second["access_token"]!); // used: from now on only the grace counts
        await using var replica = await app.StartReplicaAsync(TimeSpan.FromMinutes(minutes));
        var other = new OAuthFlow(replica.Http);
        await replica.Http.GetStringAsync(new Uri("/ready", UriKind.Relative)); // no pod gets requests before this

        var repeated = await other.RefreshAsync(client, tokens["refresh_token"]!);

        Assert.True(repeated.Status == HttpStatusCode.OK, repeated.Text);
        Assert.Equal(second["refresh_token"], repeated["refresh_token"]);
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, second["refresh_token"]!)).Status);
        Assert.Equal(0, await app.Database.CountOfSessionAsync(AuditEvents.ReplayDetected, AccessTokenText.SessionId(tokens["access_token"]!)));
        var issued = AccessTokenText.Claims(repeated["access_token"]!).GetProperty("iat").GetInt64();
        Assert.InRange(
            DateTimeOffset.FromUnixTimeSeconds(issued), TimeProvider.System.GetUtcNow() - Tolerance - Tolerance,
            TimeProvider.System.GetUtcNow() + Tolerance);
    }

    [Fact]
    public async Task Ready_says_how_wrong_a_clock_is_and_serves()
    {
        await using var replica = await app.StartReplicaAsync(TimeSpan.FromMinutes(3));

        using var ready = await replica.GetAsOperatorAsync("/ready");

        Assert.Equal(HttpStatusCode.OK, ready.StatusCode);
        Assert.Matches("\"clock\":\"degraded: the clock of this process is 1[78][0-9] s ahead of the database: ", await ready.Content.ReadAsStringAsync());
    }

    [Fact]
    public void Surer_measurement_counts_until_it_is_old_and_one_that_contradicts_it_replaces_it()
    {
        var system = new TestClock();
        var clock = new DatabaseClock(system);
        var (start, truth) = (system.GetUtcNow(), new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));
        Note(TimeSpan.FromMilliseconds(2), TimeSpan.FromMilliseconds(1));
        AssertAhead(TimeSpan.FromMilliseconds(1));
        Note(TimeSpan.FromMilliseconds(400), TimeSpan.FromMilliseconds(100)); // it may be right as well, and knows less
        AssertAhead(TimeSpan.FromMilliseconds(1));
        Note(TimeSpan.FromSeconds(1.5), TimeSpan.FromHours(1)); // too long on its way
        AssertAhead(TimeSpan.FromMilliseconds(1));
        Note(TimeSpan.FromMilliseconds(400), TimeSpan.FromHours(1)); // another server, with another clock
        AssertAhead(TimeSpan.FromHours(1));
        system.Advance(TimeSpan.FromHours(1));
        Note(TimeSpan.FromMilliseconds(600), TimeSpan.FromHours(1) + TimeSpan.FromMilliseconds(50)); // the clocks may have parted by more than that
        AssertAhead(TimeSpan.FromHours(1) + TimeSpan.FromMilliseconds(50));

        // As if the truth were now, and the database this much ahead of it.
        void Note(TimeSpan roundTrip, TimeSpan ahead)
        {
            var now = clock.GetTimestamp();
            var half = (long)(roundTrip.TotalSeconds / 2 * clock.TimestampFrequency);
            clock.Note(truth + (system.GetUtcNow() - start) + ahead, now - half, now + half);
        }

        void AssertAhead(TimeSpan ahead) =>
            Assert.InRange(
                clock.GetUtcNow() - (truth + (system.GetUtcNow() - start)), ahead - TimeSpan.FromMilliseconds(20),
                ahead + TimeSpan.FromMilliseconds(20));
    }
}
