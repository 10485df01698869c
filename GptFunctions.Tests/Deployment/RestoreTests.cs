using System.Diagnostics;
using System.Net;
using System.Text.RegularExpressions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Deployment;

/// <summary>
/// deployment.md 14: what the runbook says of a restored database, on a copy of one as it was at a moment, while the original went on: and its SQL runs.
/// </summary>
public sealed partial class RestoreTests
{
    private const string RecordEvents = """
        INSERT INTO gpt_oauth_events (event_id, event_type, metadata, source, occurred_at)
        SELECT gen_random_uuid(), 'x', '{"a": "b\\n"}', 'test', now() FROM generate_series(1, 3)
        """;

    private static readonly string Runbook = File.ReadAllText(Path.Combine(TestServices.RepositoryRoot, "infra", "runbook.md"));

    [Fact]
    public async Task What_happened_since_is_forgotten_without_alarm_and_its_trail_can_be_copied()
    {
        const string Name = nameof(RestoreTests);
        await using var original = await TestDatabase.CreateAsync(Name);
        Dictionary<string, string?> settings;
        TestClient client;
        string rotated, ended;
        await using (var app = await TestApp.StartAsync(original))
        {
            (settings, client) = (app.Settings, await OAuthFlow.AddClientAsync(app));
            var flow = new OAuthFlow(app.Http);
            rotated = (await flow.TokensAsync(client, "user_rotated"))["refresh_token"]!;
            ended = (await flow.TokensAsync(client, "user_ended"))["refresh_token"]!;
        }

        await original.ExecuteAsync(RecordEvents);
        await using var restored = await TestDatabase.CopyAsync(original, Name + "_restored"); // the moment
        var moment = await original.ScalarAsync<string>("SELECT now()::text");
        string next, opened;
        await using (var app = await TestApp.StartAsync(original, settings))
        {
            var flow = new OAuthFlow(app.Http);
            next = (await flow.RefreshAsync(client, rotated))["refresh_token"]!;
            opened = (await flow.TokensAsync(client, "user_opened"))["refresh_token"]!;
            Assert.Equal(HttpStatusCode.OK, (await flow.RevokeAsync(client, ended)).Status);
        }

        await original.ExecuteAsync(RecordEvents); // as the consumer would

        await using (var app = await TestApp.StartAsync(restored, settings.With([new("DATABASE_URL", restored.Url)])))
        {
            var flow = new OAuthFlow(app.Http);
            foreach (var unknown in (string[])[next, opened])
            {
                var answer = await flow.RefreshAsync(client, unknown);
                Assert.Equal((HttpStatusCode.BadRequest, "invalid_grant"), (answer.Status, answer["error"]));
            }

            Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, rotated)).Status);
            Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, ended)).Status); // alive again, as the table says
            Assert.Equal(0, await restored.CountAsync("outbox_messages", "routing_key LIKE '%replay%'"));
        }

        // The trail, by the runbook's own lines, and once more.
        var copy = Assert.Single(ShellBlock().Matches(Runbook), block => block.Value.Contains("COPY copied", StringComparison.Ordinal)).Groups["text"].Value;
        var missing = await original.CountAsync("gpt_oauth_events") - await CommonAsync(original, restored);
        Assert.True(missing > 0);
        for (var run = 0; run < 2; run++)
        {
            await WalkAsync(copy, original.Url, restored.Url, moment!);
            Assert.Equal(await original.CountAsync("gpt_oauth_events"), await CommonAsync(original, restored));
        }
    }

    /// <summary>Each SELECT that somebody in a hurry copies; '...' is a value that they fill in.</summary>
    [Fact]
    public async Task Every_query_of_the_runbook_runs()
    {
        await using var database = await TestDatabase.CreateAsync(nameof(RestoreTests) + "_queries");
        var queries = Query().Matches(Runbook).Select(match => match.Groups["sql"].Value.Trim().TrimEnd(';')).Distinct(StringComparer.Ordinal).ToList();
        Assert.True(queries.Count > 8, string.Join('\n', queries));
        foreach (var query in queries)
        {
            await database.ExecuteAsync("EXPLAIN " + query);
        }
    }

    /// <summary>How many events both have.</summary>
    private static async Task<long> CommonAsync(TestDatabase original, TestDatabase restored)
    {
        var ids = await original.ScalarAsync<string>("SELECT string_agg(quote_literal(event_id), ',') FROM gpt_oauth_events");
        return await restored.CountAsync("gpt_oauth_events", $"event_id IN ({ids})");
    }

    private static async Task WalkAsync(string text, string old, string @new, string moment)
    {
        using var bash = Process.Start(
            new ProcessStartInfo("bash", ["-euo", "pipefail", "-c", text])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                UseShellExecute = false,
                Environment = { ["OLD"] = old, ["NEW"] = @new, ["MOMENT"] = moment },
            })!;
        var (output, error) = (bash.StandardOutput.ReadToEndAsync(), bash.StandardError.ReadToEndAsync());
        await bash.WaitForExitAsync();
        Assert.True(bash.ExitCode == 0, await output + await error);
    }

    [GeneratedRegex(@"^ *```sh\n(?<text>.*?)```", RegexOptions.Singleline | RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex ShellBlock();

    [GeneratedRegex(@"(?:`|```sql\n)(?<sql>SELECT [^`]*)`", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Query();
}
