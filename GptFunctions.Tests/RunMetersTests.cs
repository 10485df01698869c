using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using GptFunctions.Tests.Webhooks;

namespace GptFunctions.Tests;

/// <summary>
/// health.md 6: labels have few values, whatever callers send, and nothing of a person or a secret in them. Looks at every series that the whole run has made.
/// </summary>
[Collection(nameof(AfterAllOthers))]
public sealed partial class RunMetersTests(RunMetersFixture fixture) : IClassFixture<RunMetersFixture>
{
    private const int MostValues = 50;
    private const int MostSeries = 200;
    private const int Strangers = 1_000;
    private const int Kinds = 9;
    private readonly TestApp app = fixture.App;

    [Fact]
    public async Task A_thousand_users_paths_ids_and_tokens_make_no_series_more()
    {
        for (var kind = 0; kind < Kinds; kind++)
        {
            await CallAsync("known", kind);
        }

        await Wait.UntilAsync(() => RunMeters.All.Any(series => series.Text.Contains("service_key_missing", StringComparison.Ordinal)));
        var before = RunMeters.All.ToHashSet();
        Assert.True(before.Count > 20);

        await Parallel.ForEachAsync(
            Enumerable.Range(0, Strangers), new ParallelOptions { MaxDegreeOfParallelism = 8 },
            async (number, _) => await CallAsync(RandomNumberGenerator.GetHexString(16), number % Kinds));

        RunMeters.Observe();
        Assert.Empty(RunMeters.All.Except(before).Where(series => series.Labels.Any()).Select(series => series.Text));
    }

    [Fact]
    public void Whole_run_has_few_series_and_few_values_of_each_label()
    {
        RunMeters.Observe();
        var all = RunMeters.All;
        Assert.All(
            all.GroupBy(series => (series.App, series.Instrument)), group =>
                Assert.True(group.Count() < MostSeries, $"{group.Key} has {group.Count()} series."));
        var labels = all.SelectMany(series => series.Labels.Select(label => (series.Instrument, label.Label, label.Value))).Distinct()
            .GroupBy(label => (label.Instrument, label.Label));
        Assert.All(
            labels.Where(label => label.Key is not { Instrument: "gpt.gateway.calls" or "gpt.gateway.duration" or "gpt.gateway.added", Label: "route" }),
            label => Assert.True(label.Count() <= MostValues, $"{label.Key}: {string.Join(' ', label.Select(one => one.Value))}"));

        // Routes of the gateway are the operator's list, of which each app of the tests may have another.
        var routes = all.SelectMany(
            series => series.Labels.Where(label => label.Label == "route").Select(label => (series.App, series.Instrument, label.Value)))
            .Distinct().GroupBy(label => (label.App, label.Instrument));
        Assert.All(routes, label => Assert.True(label.Count() <= MostValues, $"{label.Key}: {string.Join(' ', label.Select(one => one.Value))}"));
    }

    [Fact]
    public void Whole_run_has_no_secret_and_no_person_in_any_label()
    {
        var text = string.Join('\n', RunMeters.All.Select(series => series.Text).Distinct(StringComparer.Ordinal));
        Assert.DoesNotMatch(Shapes(), text);
        Assert.DoesNotContain(RunLog.Secrets.Distinct(StringComparer.Ordinal), secret => text.Contains(secret, StringComparison.Ordinal));
    }

    /// <summary>Whatever the program refuses has a reason of the list: routes of the tests' own and answers of upstreams are not its.</summary>
    [Fact]
    public void Whole_run_has_no_refusal_without_a_reason() => Assert.Empty(
        RunMeters.All.Select(series => series.Text).Where(text => text.Contains("reason=other", StringComparison.Ordinal) && !OfTests().IsMatch(text))
            .Distinct(StringComparer.Ordinal));

    /// <summary>A call of a user, and a request of one kind in which everything that a caller can choose is this caller's.</summary>
    private async Task CallAsync(string who, int kind)
    {
        var user = await fixture.Users.AddAsync("user_" + who);
        await SendAsync(HttpMethod.Get, $"/gpt/echo?q={who}", user.Token);
        await (kind switch
        {
            0 => SendAsync(HttpMethod.Get, $"/gpt/nowhere/{who}", user.Token),
            1 => SendAsync(HttpMethod.Get, "/gpt/echo", "forged." + who),
            2 => SendAsync(HttpMethod.Get, $"/no/such/{who}", null),
            3 => SendAsync(HttpMethod.Delete, $"/oauth/sessions/{who}", user.Token),
            4 => SendAsync(HttpMethod.Post, $"/webhooks/{who}", null),
            5 => SendAsync(HttpMethod.Get, $"/oauth/authorize?client_id={who}", null),
            6 => SendAsync(HttpMethod.Post, "/oauth/token", null, $"grant_type={who}&client_id={who}&client_secret={who}"),
            7 => SendAsync(HttpMethod.Post, "/oauth/token", null, $"grant_type=refresh_token&refresh_token={who}&client_id={who}&client_secret={who}"),
            _ => SendAsync(HttpMethod.Get, $"/verifications/{who}", null),
        });
    }

    private async Task SendAsync(HttpMethod method, string path, string? token, string? form = null)
    {
        using var request = new HttpRequestMessage(method, new Uri(path, UriKind.Relative));
        request.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        request.Headers.Add("X-Real-IP", $"10.{RandomNumberGenerator.GetInt32(256)}.{RandomNumberGenerator.GetInt32(256)}.1");
        request.Content = form is null ? null : new StringContent(form, null, "application/x-www-form-urlencoded");
        using var answer = await app.Http.SendAsync(request);
    }

    // E-mail addresses, ids of users, sessions and clients that registered themselves, tokens, URLs with a query.
    [GeneratedRegex(
        @"@[\w-]+\.|=user_(?!not_found|blocked)|[0-9a-f]{8}-[0-9a-f]{4}-|[0-9a-f]{32}|gpt_rt_|eyJ[A-Za-z0-9_-]{10,}|https?:|\?", RegexOptions.None, 10_000)]
    private static partial Regex Shapes();

    [GeneratedRegex(@"route=/(test-|dev/|oauth/test-|oauth/authorize/test-)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex OfTests();
}

public sealed class RunMetersFixture : GatewayFixture<RunMetersTests>
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings => WebhookSender.Settings;
}
