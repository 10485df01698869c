using System.Text.Json;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Audit;

/// <summary>operations.md 14: the trail is read and taken out by command, narrowed as on its page.</summary>
public sealed class AuditCommandsTests : IAsyncLifetime
{
    private TestDatabase database = null!;

    public async Task InitializeAsync()
    {
        database = await TestDatabase.CreateAsync(nameof(AuditCommandsTests));
        await database.ExecuteAsync("""
            INSERT INTO gpt_oauth_events (event_id, event_type, clerk_user_id, client_id, session_id, correlation_id, metadata, source, occurred_at)
            SELECT gen_random_uuid(), CASE WHEN n = 0 THEN 'gpt.operator.session_ended' ELSE 'gpt.test.told' END, '=user_' || n % 2, 'app-' || n % 3,
                   'session-' || n / 2, 'request-' || n, jsonb_build_object('number', n), 'test', now() - interval '1 hour' + n * interval '1 s'
            FROM generate_series(0, 5) n
            """);
    }

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Theory]
    [InlineData("0 1 2 3 4 5")]
    [InlineData("1 3 5", "--user", "=user_1")]
    [InlineData("2 5", "--client", "app-2")]
    [InlineData("2 3", "--session", "session-1")]
    [InlineData("1 2 3 4 5", "--type", "gpt.test.told")]
    [InlineData("0", "--type", "gpt.operator.*")]
    [InlineData("4", "--correlation", "request-4")]
    [InlineData("3", "--user", "=user_1", "--client", "app-0")]
    [InlineData("", "--since", "1m")]
    public async Task Tail_prints_what_matches_oldest_first(string numbers, params string[] arguments)
    {
        var (code, output, error) = await RunAsync(["audit", "tail", "--json", .. arguments]);
        Assert.Equal((0, ""), (code, error));
        Assert.Equal(numbers, string.Join(' ', output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(NumberOf)));
    }

    [Fact]
    public async Task Export_writes_a_file_for_its_owner_only_and_is_told_with_its_filter()
    {
        var path = Path.Combine(Directory.CreateTempSubdirectory("gpt-export-").FullName, "audit.csv");
        Assert.Equal(
            (0, "", "3 events\n"),
            await RunAsync("audit", "export", "--user", "=user_1", "--output", path, "--by", "kim", "--reason", "an audit"));
        var lines = (await File.ReadAllTextAsync(path)).Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(4, lines.Length);
        Assert.All(lines[1..], line => Assert.Contains(",gpt.test.told,\"'=user_1\",app-", line, StringComparison.Ordinal));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, new FileInfo(path).UnixFileMode);

        var (code, output, error) = await RunAsync("audit", "export", "--format", "jsonl", "--type", "gpt.test.told", "--until", "1m");
        Assert.Equal((0, "5 events\n"), (code, error));
        Assert.Equal("1 2 3 4 5", string.Join(' ', output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(NumberOf)));

        var told = Assert.Single(await database.EventsAsync(AuditEvents.AuditExported, "operator", "command:kim")).GetProperty("payload");
        Assert.Equal(
            ("an audit", "csv", "=user_1"),
            (told.GetProperty("reason").GetString(), told.GetProperty("format").GetString(), told.GetProperty("clerk_user_id").GetString()));
        Assert.Equal(2, await database.CountAsync("outbox_messages", "routing_key = 'gpt.operator.audit_exported'"));
        Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
    }

    [Theory]
    [InlineData("--since: ", "tail", "--since", "yesterday-ish")]
    [InlineData("--until: ", "export", "--until", "x")]
    [InlineData("Argument 'xlsx' not recognized", "export", "--format", "xlsx")]
    public async Task Wrong_option_is_a_sentence(string sentence, params string[] arguments)
    {
        var (code, _, error) = await RunAsync(["audit", .. arguments]);
        Assert.Equal(1, code);
        Assert.StartsWith(sentence, error, StringComparison.Ordinal);
    }

    private static int NumberOf(string line) => JsonElement.Parse(line).GetProperty("metadata").GetProperty("number").GetInt32();

    private async Task<(int Code, string Output, string Error)> RunAsync(params string[] arguments) =>
        await AppProcess.RunAsync(TestApp.DefaultSettings(database.Url, 7071), arguments);
}
