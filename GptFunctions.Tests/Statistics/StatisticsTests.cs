using System.Net;
using GptFunctions.Hosting;
using GptFunctions.Statistics;
using GptFunctions.Tests.Support;
using Npgsql;

namespace GptFunctions.Tests.Statistics;

/// <summary>statistics.md 1 to 4: what is counted is counted exactly, however many count and however often a batch is sent.</summary>
public sealed class StatisticsTests(StatisticsFixture fixture) : IClassFixture<StatisticsFixture>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Fact]
    public async Task Refusals_of_two_processes_at_once_are_counted_exactly()
    {
        await using var other = await app.StartReplicaAsync();
        var client = await OAuthFlow.AddClientAsync(app);
        var flows = new[] { flow, new OAuthFlow(other.Http) };
        await Parallel.ForEachAsync(Enumerable.Range(0, 200), new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (n, _) =>
        {
            Assert.Equal(HttpStatusCode.BadRequest, (await flows[n % 2].RefreshAsync(client, "unknown")).Status);
            if (n % 10 == 0)
            {
                await Task.WhenAll(app.Get<StatisticsWriter>().WriteAsync(false), other.Get<StatisticsWriter>().WriteAsync(false));
            }
        });
        await Task.WhenAll(app.Get<StatisticsWriter>().WriteAsync(false), other.Get<StatisticsWriter>().WriteAsync(false));
        Assert.Equal(
            "/oauth/token refresh_malformed 200",
            await app.Database.ScalarAsync<string>(
                $"SELECT endpoint || ' ' || reason || ' ' || sum(count) FROM refusals WHERE client_id = '{client.Id}' GROUP BY endpoint, reason"));
        Assert.Equal(
            2,
            await app.Database.CountAsync("replicas", $"role = 'http, audit' AND seen_at > now() - interval '1 min' AND version = '{ProgramVersion.Text}'"));
    }

    [Fact]
    public async Task Use_and_refusals_of_an_app_are_read_as_they_were_counted()
    {
        var (client, unused, user, now) = (await OAuthFlow.AddClientAsync(app), await OAuthFlow.AddClientAsync(app), Guid.NewGuid(), app.Clock.GetUtcNow());
        for (var days = 0; days <= 40; days += 10)
        {
            app.Get<ClientUsage>().Add(client.Id, user, now.AddDays(-days));
            app.Get<ClientUsage>().Add(client.Id, user, now.AddDays(-days));
        }

        await flow.RefreshAsync(client, "unknown");
        await flow.ExchangeAsync(client, "unknown");
        await app.Get<StatisticsWriter>().WriteAsync(isLast: true);
        var statistics = app.Get<StatisticsService>();
        var used = Assert.Single(await statistics.UsageOfAsync(user));
        Assert.Equal((client.Id, 6, now.ToUnixTimeMilliseconds()), (used.ClientId, used.Calls, used.LastCallAt.ToUnixTimeMilliseconds()));
        Assert.Equal([client.Id], (await statistics.LastUseOfAsync([client.Id, unused.Id])).Keys);
        Assert.Equal(["code_unknown 1", "refresh_malformed 1"], (await statistics.RefusalsOfAsync(client.Id)).Select(one => $"{one.Reason} {one.Count}"));
        Assert.Equal((client.Id, 2), Assert.Single((await statistics.CountRefusalsAsync([client.Id, unused.Id])).Select(one => (one.Key, one.Value))));
        Assert.Equal(["code_unknown", "refresh_malformed"], (await statistics.NewestRefusalsAsync(client.Id)).Select(one => one.Reason).Order());
    }

    /// <summary>The answer of a statement that took effect may be lost: then it comes again.</summary>
    [Fact]
    public async Task Batch_that_comes_twice_takes_effect_once()
    {
        var (store, replica, now) = (
            app.Get<StatisticsStore>(), new Replica(Guid.NewGuid(), "twice", "http", "1", false, app.Clock.GetUtcNow()), app.Clock.GetUtcNow());
        var refused = new RefusedRequest(
            Guid.CreateVersion7(now), now, "GET", "/twice", null, 400, new Refusal(RefusalReason.InvalidRequest), "id", null, "{}");
        var batch = new StatisticsBatch(7)
        {
            Counts = new() { [new HourlyCount(now.BeginningOfHour(), "twice", "ok")] = 3 },
            Refusals = new() { [new RefusalKind(now.BeginningOfHour(), "/twice", RefusalReason.InvalidRequest, "")] = 5 },
            Refused = [refused],
            Usage = new() { [new Usage("twice", Guid.Empty, DateOnly.FromDateTime(now.UtcDateTime))] = new Calls(2, now) },
            SignIns = [],
        };
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => store.WriteAsync(replica, batch, now)));
        Assert.Equal(
            "3 5 2 1",
            await app.Database.ScalarAsync<string>("""
                SELECT concat_ws(' ', (SELECT sum(count) FROM hourly_counts WHERE kind = 'twice'), (SELECT sum(count) FROM refusals WHERE endpoint = '/twice'),
                    (SELECT sum(calls) FROM client_usage WHERE client_id = 'twice'), (SELECT count(*) FROM refused_requests WHERE endpoint = '/twice'))
                """));
    }

    [Fact]
    public async Task Sign_in_exchange_and_refresh_are_counted_by_the_hour()
    {
        await using var own = await TestApp.StartAsync(TestDatabase.NameFor(typeof(StatisticsTests)) + "_hours");
        var ownFlow = new OAuthFlow(own.Http);
        var client = await OAuthFlow.AddClientAsync(own);
        var tokens = await ownFlow.TokensAsync(client, "user_hours");
        await ownFlow.RefreshAsync(client, tokens["refresh_token"]!);
        await ownFlow.RefreshAsync(client, "unknown");
        await own.Get<StatisticsWriter>().WriteAsync(false);
        Assert.Equal(
            "exchange granted 1, refresh granted 1, refresh refused 1, sign_in approved 1, sign_in asked 1, sign_in connected 1, sign_in signed_in 1, "
                + "sign_in started 1",
            await own.Database.ScalarAsync<string>(
                "SELECT string_agg(concat_ws(' ', kind, outcome, count), ', ' ORDER BY kind, outcome) FROM hourly_counts WHERE hour = date_trunc('hour', "
                    + "hour)"));
    }

    [Fact]
    public async Task Flood_is_counted_in_full_and_fifty_a_second_are_kept_one_by_one()
    {
        var (tally, clock) = (new RefusalTally(app.Clock), app.Clock);
        const int flood = 20_000; // four seconds of 5,000
        var occasion = new Occasion(clock.GetUtcNow(), "flood", "127.0.0.1");
        var context = new Microsoft.AspNetCore.Http.DefaultHttpContext();
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (var n = 0; n < flood / 4; n++)
            {
                tally.Note(context, new Refusal(RefusalReason.NotFound), null, occasion);
            }
        })));
        var (counts, lost, newest) = tally.Take();
        Assert.Equal((flood, 0), (Assert.Single(counts).Value, lost));
        Assert.InRange(newest.Length, RefusalTally.MostInDetail, 5 * RefusalTally.MostInDetail);
    }

    /// <summary>What anybody makes up (paths, ids, addresses) is no kind of its own: a flood of it is a handful of rows, all counted.</summary>
    [Fact]
    public async Task Flood_of_made_up_paths_and_ids_is_a_handful_of_rows()
    {
        const int flood = 300;
        await using var own = await TestApp.StartAsync(TestDatabase.NameFor(typeof(StatisticsTests)) + "_flood");
        var began = own.Clock.GetUtcNow();
        await Parallel.ForEachAsync(Enumerable.Range(0, flood), new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (n, _) =>
        {
            var made = Guid.NewGuid().ToString("N");
            using var request = (n % 6) switch
            {
                0 => new HttpRequestMessage(HttpMethod.Get, $"/{made}/{n}?x={made}"),
                1 => new HttpRequestMessage(HttpMethod.Get, $"/oauth/authorize?client_id={made}&response_type=code&redirect_uri=https://{made}.example/"),
                2 => new HttpRequestMessage(HttpMethod.Get, $"/oauth/authorize?continue={made}"),
                3 => new HttpRequestMessage(HttpMethod.Get, $"/verifications/{made}"),
                4 => new HttpRequestMessage(HttpMethod.Get, $"/gpt/{made}") { Headers = { { "Authorization", "Bearer " + made } } },
                _ => new HttpRequestMessage(HttpMethod.Post, "/oauth/token")
                {
                    Content = new FormUrlEncodedContent([new("client_id", made), new("client_secret", made), new("grant_type", made), new("code", made)]),
                },
            };
            using var answer = await own.Http.SendAsync(request, CancellationToken.None);
            Assert.InRange((int)answer.StatusCode, 400, 499);
        });
        var seconds = (int)(own.Clock.GetUtcNow() - began).TotalSeconds + 2;
        await own.Get<StatisticsWriter>().WriteAsync(false);

        Assert.Equal(flood, await own.Database.ScalarAsync<long>("SELECT sum(count)::bigint FROM refusals"));
        Assert.InRange(await own.Database.CountAsync("refusals"), 6, 12);
        Assert.InRange(await own.Database.CountAsync("refused_requests"), 1, seconds * RefusalTally.MostInDetail);
        Assert.InRange((await own.Get<StatisticsService>().ReadSignInsAsync(new SignInFilter(Reached: SignInReached.Refused), 1_000)).Count, 1, flood / 3);
    }

    /// <summary>Ten thousand with ids of clients that exist, more than are counted: memory stays bounded, and what does not fit is said.</summary>
    [Fact]
    public void Flood_of_ten_thousand_clients_stays_within_its_memory()
    {
        var tally = new RefusalTally(app.Clock);
        var occasion = new Occasion(app.Clock.GetUtcNow(), "flood", "127.0.0.1");
        var context = new Microsoft.AspNetCore.Http.DefaultHttpContext();
        for (var n = 0; n < 10_000; n++)
        {
            tally.Note(context, new Refusal(RefusalReason.ClientSecretWrong, Guid.NewGuid().ToString("N")), "/oauth/token", occasion);
        }

        var (counts, lost, newest) = tally.Take();
        Assert.Equal(10_000, counts.Values.Sum() + lost);
        Assert.Equal(5_000, counts.Count);
        Assert.InRange(newest.Length, 1, 500);
    }

    [Fact]
    public void More_kinds_than_fit_are_counted_as_lost()
    {
        var tally = new Tally<int>(3);
        for (var n = 0; n < 10; n++)
        {
            tally.Add(n % 5);
        }

        var (counts, lost) = tally.Take();
        Assert.Equal([2L, 2L, 2L], counts.Values);
        Assert.Equal(4, lost);
        Assert.Empty(tally.Take().Counts);
    }

    /// <summary>Nothing that was sent may be in any table afterwards, wherever the request had it.</summary>
    [Fact]
    public async Task No_credential_is_kept_of_a_refused_request()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_secret");
        var code = await flow.CodeAsync(client, "user_secret");
        string[] secrets = [tokens["access_token"]!, tokens["refresh_token"]!, code, client.Secret!, "state-of-the-client-0123456789"];
        foreach (var secret in secrets)
        {
            foreach (var name in (string[])["client_id", "redirect_uri", "scope", "resource", "response_type", "response_mode", "state", "code", "grant_type"])
            {
                var value = name == "redirect_uri" ? $"https://user:{secret}@example.com/cb?x={secret}#{secret}" : secret;
                if (secret.StartsWith("state", StringComparison.Ordinal) && name is not ("state" or "redirect_uri"))
                {
                    continue; // a text that looks like any other is hidden where it belongs
                }

                using var form = new FormUrlEncodedContent([new(name, value)]);
                using var post = new HttpRequestMessage(HttpMethod.Post, "/oauth/token") { Content = form };
                post.Headers.TryAddWithoutValidation("Authorization", "Bearer " + secret);
                post.Headers.TryAddWithoutValidation("User-Agent", secret == client.Secret ? secret : "client/1.0");
                using var answer = await app.Http.SendAsync(post);
                Assert.InRange((int)answer.StatusCode, 400, 499);
                using var page = await app.Http.GetAsync(new Uri($"/oauth/authorize?{name}={Uri.EscapeDataString(value)}", UriKind.Relative));
                Assert.InRange((int)page.StatusCode, 400, 499);
                app.Clock.Advance(TimeSpan.FromSeconds(1)); // fifty a second are kept
            }
        }

        await app.Get<StatisticsWriter>().WriteAsync(false);
        Assert.True(await app.Database.CountAsync("refused_requests") > 50);
        foreach (var secret in secrets)
        {
            Assert.Equal(0, await app.Database.CountAsync("refused_requests row", $"row::text LIKE '%{secret[..20]}%'"));
            Assert.Equal(0, await app.Database.CountAsync("refusals row", $"row::text LIKE '%{secret[..20]}%'"));
            Assert.Equal(0, await app.Database.CountAsync("sign_ins row", $"row::text LIKE '%{secret[..20]}%'"));
        }
    }

    [Fact]
    public async Task Redirect_uri_is_kept_as_it_was_sent_without_the_values_of_its_query()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var sent = "https://chatgpt.com/aip/g-0123456789abcdef0123456789abcdef01234567/oauth/callback?tenant=a&b";
        using var answer = await app.Http.GetAsync(
            new Uri($"/oauth/authorize?client_id={client.Id}&response_type=code&state=s&redirect_uri={Uri.EscapeDataString(sent)}", UriKind.Relative));
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        await app.Get<StatisticsWriter>().WriteAsync(false);
        Assert.Equal(
            "redirect_uri_unregistered https://chatgpt.com/aip/g-0123456789abcdef0123456789abcdef01234567/oauth/callback?tenant=(hidden)&b [\"state\"]",
            await app.Database.ScalarAsync<string>(
                $"SELECT reason || ' ' || (sent ->> 'redirect_uri') || ' ' || (sent -> 'with') FROM refused_requests WHERE client_id = '{client.Id}'"));
    }

    [Theory]
    [InlineData("<script>alert(1)</script>", "<script>alert(1)</script>")]
    [InlineData("a\u202Eb\u0007c\u200Bd", "a\\u202Eb\\u0007c\\u200Bd")]
    public void Text_that_turns_or_hides_is_written_as_numbers(string text, string safe) => Assert.Equal(safe, SafeText.Of(text, 100));

    [Fact]
    public void Half_of_a_pair_is_no_text_that_a_database_takes() => Assert.Equal("half \ufffd of a pair", SafeText.Of("half \ud83d of a pair", 100));

    [Fact]
    public void Text_is_cut()
    {
        Assert.Equal(string.Concat(Enumerable.Repeat("word ", 10)) + "…", SafeText.Of(string.Concat(Enumerable.Repeat("word ", 2_000)), 50));
        Assert.InRange(SafeText.OfUrl("https://example.com/" + string.Concat(Enumerable.Repeat("ab/", 10_000)), 500).Length, 500, 501);
    }

    [Fact]
    public async Task Newest_ten_thousand_are_kept()
    {
        await app.Database.ExecuteAsync("""
            INSERT INTO refused_requests (id, at, method, endpoint, status, reason, correlation_id, sent)
            SELECT gen_random_uuid(), now() - interval '1 hour', 'GET', '/old', 400, 'invalid_request', 'id', '{}' FROM generate_series(1, 10500)
            """);
        using var answer = await app.Http.GetAsync(new Uri("/nothing-is-here", UriKind.Relative));
        await app.Get<StatisticsWriter>().WriteAsync(false);
        Assert.Equal(StatisticsStore.MostRefused, await app.Database.CountAsync("refused_requests"));
    }

    [Fact]
    public async Task Sign_ins_that_nobody_finishes_are_kept_up_to_a_limit()
    {
        await using var own = await TestApp.StartAsync(TestDatabase.NameFor(typeof(StatisticsTests)) + "_asked");
        await own.Database.ExecuteAsync("""
            INSERT INTO sign_ins (id, at, client_id, redirect_uri, signed_in_at)
            SELECT gen_random_uuid(), now(), 'c', 'u', CASE WHEN n > 12000 THEN now() END FROM generate_series(1, 12100) n
            """);
        await own.Get<StatisticsWriter>().WriteAsync(false);
        Assert.Equal(
            (StatisticsStore.MostAsked, 100), (await own.Database.CountAsync("sign_ins", "step = 1"), await own.Database.CountAsync("sign_ins", "step = 2")));
    }
}

public sealed class StatisticsFixture : AppFixture<StatisticsTests>;
