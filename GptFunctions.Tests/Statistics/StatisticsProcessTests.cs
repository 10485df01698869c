using GptFunctions.Hosting;
using GptFunctions.Statistics;
using GptFunctions.Tests.Support;
using Npgsql;

namespace GptFunctions.Tests.Statistics;

/// <summary>statistics.md 1, 3 and 7: what a process that dies loses, and what an outage of the database does.</summary>
public sealed class StatisticsProcessTests
{
    [Fact]
    public async Task Killed_process_loses_what_it_had_not_written_and_a_stopped_one_nothing()
    {
        var database = await TestDatabase.CreateAsync(nameof(StatisticsProcessTests));
        var settings = TestApp.DefaultSettings(database.Url, 0);
        await using (var killed = await AppProcess.StartAsync(settings))
        {
            await RefuseAsync(killed.Http, 10);
            await Wait.UntilAsync(async () => await RefusalsAsync(database) == 10); // a second later
            await RefuseAsync(killed.Http, 5);
            await killed.KillAsync();
        }

        Assert.InRange(await RefusalsAsync(database), 10, 15);
        Assert.Equal(1, await database.CountAsync("replicas")); // nobody has said that it left
        var before = await RefusalsAsync(database);
        await using var stopped = await AppProcess.StartAsync(settings);
        await Wait.UntilAsync(async () => await database.CountAsync("replicas") == 2);
        await RefuseAsync(stopped.Http, 7);
        Assert.Equal(0, await stopped.StopAsync());
        Assert.Equal((before + 7, 1), (await RefusalsAsync(database), await database.CountAsync("replicas")));
        await database.DisposeAsync();
    }

    /// <summary>Refused or silent: one batch waits, the rest is added up; then all of it is written, once.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Outage_of_the_database_loses_nothing_that_fits_and_says_so(bool isSilent)
    {
        var database = await TestDatabase.CreateAsync($"{nameof(StatisticsProcessTests)}_{(isSilent ? "silent" : "cut")}");
        await using var network = new TestProxy(database.Url);
        await using var app = await TestApp.StartAsync(database, new() { ["DATABASE_URL"] = network.Url, ["DATABASE_LISTEN_URL"] = database.Url });
        var writer = app.Get<StatisticsWriter>();
        await RefuseAsync(app.Http, 3);
        await writer.WriteAsync(false);
        if (isSilent)
        {
            network.Silence();
        }
        else
        {
            await network.CutAsync();
        }

        for (var round = 0; round < 3; round++)
        {
            await RefuseAsync(app.Http, 4);
            var failure = await Assert.ThrowsAnyAsync<NpgsqlException>(() => writer.WriteAsync(false));
            Assert.True(ErrorMapper.IsOutage(failure));
        }

        if (isSilent)
        {
            network.Speak();
        }
        else
        {
            network.Restore();
        }

        await Wait.UntilAsync(async () =>
        {
            try
            {
                await writer.WriteAsync(false);
                return true;
            }
            catch (NpgsqlException)
            {
                return false;
            }
        });
        Assert.Equal(15, await RefusalsAsync(database));
        await database.DisposeAsync();
    }

    private static Task<long> RefusalsAsync(TestDatabase database) =>
        database.ScalarAsync<long>("SELECT coalesce(sum(count), 0)::bigint FROM refusals WHERE reason = 'not_found'");

    private static async Task RefuseAsync(HttpClient http, int count)
    {
        for (var n = 0; n < count; n++)
        {
            using var answer = await http.GetAsync(new Uri("/nothing-is-here", UriKind.Relative));
            Assert.Equal(System.Net.HttpStatusCode.NotFound, answer.StatusCode);
        }
    }
}
