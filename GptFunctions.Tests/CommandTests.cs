using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using GptFunctions.Data;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests;

/// <summary>
/// oauth.md 37 and 38, data.md 1 and 3: commands, run as an operator runs it: the program in a process of its own, judged by exit code and output.
/// </summary>
public sealed class CommandTests(CommandFixture fixture) : IClassFixture<CommandFixture>
{
    [Fact]
    public async Task Setup_says_what_it_did_and_does_it_once_however_many_run_at_once()
    {
        await using var database = await TestDatabase.CreateAsync(nameof(CommandTests) + "_setup", isMigrated: false);
        var settings = TestApp.DefaultSettings(database.Url, 7071);
        var directory = Directory.CreateTempSubdirectory("gpt-setup-").FullName;

        var runs = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => AppProcess.RunInAsync(directory, settings, "setup")));
        Assert.All(runs, run => Assert.Equal((0, ""), (run.ExitCode, run.Error)));
        var lines = runs.SelectMany(run => run.Output.Split('\n')).ToList();
        var version = Migrator.Embedded[^1].Version;
        foreach (var migration in Migrator.Embedded)
        {
            Assert.Single(lines, $"database: applied V{migration.Version:000}_{migration.Name}");
        }

        Assert.Single(lines, "clients: first-client added");
        Assert.All(runs, run => Assert.Contains($"database: schema version {version}", run.Output, StringComparison.Ordinal));

        var again = await AppProcess.RunInAsync(directory, settings, "setup");
        Assert.Equal(
            (0, $"database: schema version {version}, nothing to do\naudit trail: all partitions are there\nbroker: RABBITMQ_URL is not set, events stay "
                + "inside the process\nclients: first-client is as the settings say\nclients: id, secret and redirect URI are in .local/demo-client.env\n"),
            (again.ExitCode, again.Output));
        var file = new FileInfo(Path.Combine(directory, ".local", "demo-client.env"));
        Assert.Contains($"GPT_CLIENT_SECRET={settings["GPT_CLIENT_SECRET"]}\n", await File.ReadAllTextAsync(file.FullName), StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, file.UnixFileMode);
        Assert.DoesNotContain(settings["GPT_CLIENT_SECRET"]!, again.Output, StringComparison.Ordinal);
        Directory.Delete(directory, recursive: true);
    }

    /// <summary>After a rollback the init container of the image before runs on the schema of the image after.</summary>
    [Fact]
    public async Task Setup_on_a_newer_schema_says_so_applies_nothing_and_succeeds()
    {
        await using var database = await TestDatabase.CreateAsync(nameof(CommandTests) + "_newer");
        await database.ExecuteAsync("INSERT INTO schema_migrations (version, name, checksum) VALUES (999, 'Later', 'x')");
        var run = await AppProcess.RunAsync(TestApp.DefaultSettings(database.Url, 7071), "setup");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.StartsWith(
            $"database: schema version 999 is newer than this program's {Migrator.Embedded[^1].Version}: nothing applied, the program can run on it\n",
            run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Setup_with_a_changed_secret_keeps_the_one_before_valid_and_follows_the_settings()
    {
        var (before, after) = (
            fixture.Settings,
            new Dictionary<string, string?>(
                fixture.Settings,
                StringComparer.Ordinal)
            {
                ["GPT_CLIENT_ID"] = "changing",
                ["GPT_CLIENT_SECRET"] = "another-secret-of-at-least-32-characters",
                ["GPT_REDIRECT_URI"] = "https://changed.example/callback"
            });
        Assert.Equal(
            0,
            (await AppProcess.RunAsync(new Dictionary<string, string?>(before, StringComparer.Ordinal) { ["GPT_CLIENT_ID"] = "changing" }, "setup")).ExitCode);
        Assert.Equal(0, (await AppProcess.RunAsync(after, "setup")).ExitCode);
        Assert.Equal([HashOf(after["GPT_CLIENT_SECRET"]!), HashOf(before["GPT_CLIENT_SECRET"]!)], await fixture.HashesAsync("changing"));
        Assert.Equal(
            "https://changed.example/callback",
            await fixture.Database.ScalarAsync<string>("SELECT array_to_string(redirect_uris, ' ') FROM gpt_clients WHERE client_id = 'changing'"));
    }

    [Fact]
    public async Task Add_prints_the_secret_once_and_stores_its_hash_only()
    {
        var added = await RunAsync("clients", "add", "--name", "A GPT", "--gpt", "g-abc123", "--scope", "jobs:read", "--no-pkce", "--json");
        Assert.Equal((0, ""), (added.ExitCode, added.Error));
        using var client = JsonDocument.Parse(added.Output);
        var (id, secret) = (client.RootElement.GetProperty("client_id").GetString()!, client.RootElement.GetProperty("client_secret").GetString()!);
        Assert.Equal(43, secret.Length);
        Assert.Equal(
            ["https://chatgpt.com/aip/g-abc123/oauth/callback", "https://chat.openai.com/aip/g-abc123/oauth/callback"],
            Strings(client, "redirect_uris"));
        Assert.Equal(["jobs:read"], Strings(client, "scopes"));
        Assert.False(client.RootElement.GetProperty("require_pkce").GetBoolean());
        Assert.Equal([HashOf(secret)], await fixture.HashesAsync(id));
        Assert.Equal(0, await fixture.Database.ScalarAsync<long>("SELECT count(*) FROM gpt_clients c WHERE c::text LIKE '%' || $1 || '%'", secret));

        var listed = await RunAsync("clients", "list", "--json");
        Assert.Contains($"\"client_id\":\"{id}\"", listed.Output, StringComparison.Ordinal);
        Assert.DoesNotContain(secret, listed.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("client_secret\"", listed.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Add_of_a_public_client_requires_pkce_and_has_no_secret()
    {
        var added = await RunAsync(
            "clients", "add", "--name", "An app", "--id", "an-app", "--public", "--redirect-uri", "http://127.0.0.1/callback",
            "com.example.app:/callback");
        Assert.Equal(
            "client_id      an-app\nclient_secret  (none: a public client)\nredirect_uris  http://127.0.0.1/callback\n               "
                + "com.example.app:/callback\n",
            added.Output);
        Assert.Equal("public none true 0", await fixture.Database.ScalarAsync<string>(
            "SELECT concat_ws(' ', kind, array_to_string(auth_methods, ','), require_pkce::text, cardinality(secret_hashes)) FROM gpt_clients WHERE "
                + "client_id = 'an-app'"));
    }

    [Fact]
    public async Task Secret_is_rotated_in_two_steps_so_that_both_work_meanwhile()
    {
        var first = await AddAsync("rotating");
        Assert.Contains(
            "Only one secret is active", (await RefusedAsync("clients", "rotate-secret", "rotating", "--retire-old")).Error,
            StringComparison.Ordinal);
        var rotated = await RunAsync("clients", "rotate-secret", "rotating");
        var second = rotated.Output.Split('\n')[0]["client_secret  ".Length..];
        Assert.Equal([HashOf(second), HashOf(first)], await fixture.HashesAsync("rotating"));
        Assert.Contains("Two secrets are active already", (await RefusedAsync("clients", "rotate-secret", "rotating")).Error, StringComparison.Ordinal);
        Assert.Equal("the old secret is no longer valid\n", (await RunAsync("clients", "rotate-secret", "rotating", "--retire-old")).Output);
        Assert.Equal([HashOf(second)], await fixture.HashesAsync("rotating"));
    }

    [Fact]
    public async Task Update_changes_what_is_named_and_disable_can_be_taken_back()
    {
        await AddAsync("updating");
        Assert.Equal(
            "updated\n",
            (await RunAsync(
                "clients", "update", "updating", "--name", "New name", "--gpt", "g-new", "--redirect-uri", "https://more.example/", "--require-pkce",
                "true")).Output);
        Assert.Equal("disabled\n", (await RunAsync("clients", "disable", "updating")).Output);
        Assert.Contains("updating  New name (confidential, disabled)\n", (await RunAsync("clients", "list")).Output, StringComparison.Ordinal);
        Assert.Equal("updated\n", (await RunAsync("clients", "update", "updating", "--enable")).Output);
        var listed = (await RunAsync("clients", "list")).Output;
        Assert.Contains(
            "updating  New name (confidential)\n    auth client_secret_post client_secret_basic, 1 secret(s), PKCE required, last used never\n    scopes "
                + "jobs:read applications:read applications:write resume:read\n"
            + "    https://chatgpt.com/aip/g-new/oauth/callback\n    https://chat.openai.com/aip/g-new/oauth/callback\n    https://more.example/\n", listed,
            StringComparison.Ordinal);
    }

    /// <summary>oauth.md 40: what changed, and never a secret or its hash.</summary>
    [Fact]
    public async Task Each_change_of_a_client_is_told_with_what_changed_and_without_its_secret()
    {
        var first = await AddAsync("told");
        await RunAsync(
            "clients", "update", "told", "--name", "New name", "--scope", "jobs:read", "--auth-method", "client_secret_post", "client_secret_basic");
        await RunAsync("clients", "update", "told", "--name", "New name"); // changes nothing
        var second = (await RunAsync("clients", "rotate-secret", "told")).Output.Split('\n')[0]["client_secret  ".Length..];
        await RefusedAsync("clients", "rotate-secret", "told");
        await RunAsync("clients", "rotate-secret", "told", "--retire-old");
        await RunAsync("clients", "disable", "told", "--by", "ann", "--reason", "a leak");
        await RunAsync("clients", "disable", "told");
        await RunAsync("clients", "update", "told", "--enable");

        Assert.Equal(
            [
                """
                client_added {"kind": "confidential", "name": "Test", "scopes": ["jobs:read", "applications:read", "applications:write", "resume:read"],
                "disabled": false, "auth_methods": ["client_secret_post", "client_secret_basic"], "require_pkce": true,
                "redirect_uris": ["https://client.example/callback"]}
                """.ReplaceLineEndings(" "),
                """client_updated {"name": "New name", "scopes": ["jobs:read"]}""",
                """client_secret_added {"active_secrets": 2}""",
                """client_secret_retired {"active_secrets": 1}""",
                """client_disabled {"disabled": true}""",
                """client_updated {"disabled": false}""",
            ],
            await fixture.ChangesAsync("told"));
        Assert.Equal("command:ann a leak", await fixture.Database.ScalarAsync<string>("""
            SELECT concat_ws(' ', envelope #>> '{payload,operator}', envelope #>> '{payload,reason}')
            FROM outbox_messages
            WHERE routing_key = 'gpt.operator.client_disabled' AND envelope #>> '{payload,client_id}' = 'told'
            """));
        Assert.Equal("command", await fixture.Database.ScalarAsync<string>(
            "SELECT DISTINCT envelope #>> '{payload,ip_address}' FROM outbox_messages WHERE routing_key LIKE 'gpt.operator.%'"));
        Assert.All((string[])[first, second], secret => Assert.Equal(0, fixture.Database.CountAsync(
            "outbox_messages", $"envelope::text LIKE '%{secret}%' OR envelope::text LIKE '%{Convert.ToHexStringLower(HashOf(secret))}%'").Result));
    }

    [Fact]
    public async Task Setup_tells_of_the_first_client_when_it_is_new_or_changed()
    {
        var settings = new Dictionary<string, string?>(fixture.Settings, StringComparer.Ordinal) { ["GPT_CLIENT_ID"] = "told-first" };
        foreach (var changed in (KeyValuePair<string, string?>[])
            [
                new("PORT", "7071"), new("PORT", "7072"), new("GPT_CLIENT_NAME", "Career Coach"),
                new("GPT_CLIENT_SECRET", new string('2', 32)), new("GPT_CLIENT_SECRET", new string('3', 32)),
            ])
        {
            settings[changed.Key] = changed.Value;
            var run = await AppProcess.RunAsync(settings, "setup");
            Assert.Equal((0, ""), (run.ExitCode, run.Error));
        }

        var told = await fixture.ChangesAsync("told-first");
        Assert.StartsWith("client_added {\"kind\": \"confidential\", \"name\": \"Demo GPT\"", told[0], StringComparison.Ordinal);
        Assert.Equal(
            [
                """client_updated {"name": "Career Coach"}""",
                """client_secret_added {"active_secrets": 2}""",
                """client_secret_added {"active_secrets": 2}""",
                """client_secret_retired {"active_secrets": 2}""",
            ],
            told[1..]);
    }

    /// <summary>What the rules refuse is in <see cref="OAuth.ClientServiceTests"/>; here, that each command reports it.</summary>
    [Theory]
    [InlineData("There is a client with the id taken already", "add", "--name", "n", "--id", "taken", "--gpt", "g-1")]
    [InlineData("'gpt-1' is not a GPT id", "add", "--name", "n", "--gpt", "gpt-1")]
    [InlineData("'x/../y' is not a GPT id", "update", "taken", "--gpt", "x/../y")]
    [InlineData("--name is empty", "update", "taken", "--name", "")]
    [InlineData("There is no client with the id nobody", "disable", "nobody")]
    [InlineData("There is no client with the id nobody", "rotate-secret", "nobody")]
    [InlineData("Option '--name' is required", "add", "--gpt", "g-1")]
    [InlineData("Unrecognized command or argument 'delete'", "delete", "taken")]
    public async Task Wrong_input_is_refused_with_a_sentence_and_exit_code_1(string expected, params string[] arguments)
    {
        var refused = await RefusedAsync(["clients", .. arguments]);
        Assert.Contains(expected, refused.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", refused.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("clients     Register and change OAuth clients.", "--help")]
    [InlineData("Handle failed events again, from the payloads that were kept.", "webhooks", "replay", "--help")]
    [InlineData("List events, newest first.", "webhooks", "--help")]
    [InlineData("Idempotent; says what it did.", "setup", "--help")]
    [InlineData("--retire-old", "clients", "rotate-secret", "--help")]
    public async Task Help_describes_the_commands_without_any_setting(string expected, params string[] arguments)
    {
        var nothing = fixture.Settings.ToDictionary(setting => setting.Key, _ => (string?)null, StringComparer.Ordinal);
        var help = await AppProcess.RunAsync(nothing, arguments);
        Assert.Equal((0, ""), (help.ExitCode, help.Error));
        Assert.Contains(expected, help.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Misspelt_command_is_refused_and_does_not_start_the_server()
    {
        var misspelt = await RefusedAsync("setpu");
        Assert.Contains("'setpu'", misspelt.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Database_that_is_away_or_empty_is_a_sentence_without_the_password()
    {
        var away = await AppProcess.RunAsync(
            new Dictionary<string, string?>(fixture.Settings, StringComparer.Ordinal) { ["DATABASE_URL"] = "postgresql://app:very-secret@127.0.0.1:1/none" },
            "clients", "list");
        Assert.Equal(69, away.ExitCode);
        Assert.StartsWith("The database at DATABASE_URL cannot be used: ", away.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("very-secret", away.Error, StringComparison.Ordinal);

        await using var empty = await TestDatabase.CreateAsync(nameof(CommandTests) + "_empty", isMigrated: false);
        var early = await AppProcess.RunAsync(
            new Dictionary<string, string?>(fixture.Settings, StringComparer.Ordinal) { ["DATABASE_URL"] = empty.Url }, "clients", "list");
        Assert.Equal((1, "The database has no tables yet: run 'GptFunctions setup' first.\n"), (early.ExitCode, early.Error));
    }

    private async Task<string> AddAsync(string id)
    {
        var added = await RunAsync("clients", "add", "--name", "Test", "--id", id, "--redirect-uri", "https://client.example/callback", "--json");
        using var client = JsonDocument.Parse(added.Output);
        return client.RootElement.GetProperty("client_secret").GetString()!;
    }

    private Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] arguments) => AppProcess.RunAsync(fixture.Settings, arguments);

    private async Task<(int ExitCode, string Output, string Error)> RefusedAsync(params string[] arguments)
    {
        var run = await RunAsync(arguments);
        Assert.Equal(1, run.ExitCode);
        return run;
    }

    private static string[] Strings(JsonDocument document, string member) =>
        [.. document.RootElement.GetProperty(member).EnumerateArray().Select(value => value.GetString()!)];

    private static byte[] HashOf(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));
}

public sealed class CommandFixture : IAsyncLifetime
{
    internal TestDatabase Database { get; private set; } = null!;

    internal Dictionary<string, string?> Settings { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Database = await TestDatabase.CreateAsync(nameof(CommandTests));
        Settings = TestApp.DefaultSettings(Database.Url, 7071);
        await Database.ExecuteAsync("""
            INSERT INTO gpt_clients (client_id, name, kind, auth_methods, secret_hashes, redirect_uris, scopes, require_pkce, created_at)
            VALUES ('taken', 'Taken', 'confidential', '{client_secret_post}', ARRAY[sha256('x')], '{https://taken.example/}', '{jobs:read}', false, now())
            """);
    }

    public async Task DisposeAsync() => await Database.DisposeAsync();

    /// <summary>What the audit trail is told of a client: type and changes.</summary>
    internal async Task<string[]> ChangesAsync(string clientId) => (await Database.ScalarAsync<string[]>(
        """
        SELECT array_agg(replace(routing_key, 'gpt.operator.', '') || ' ' || (envelope #>> '{payload,changes}') ORDER BY occurred_at, routing_key)
        FROM outbox_messages
        WHERE routing_key LIKE 'gpt.operator.%' AND envelope #>> '{payload,client_id}' = $1
        """, clientId))!;

    internal async Task<byte[][]> HashesAsync(string clientId) =>
        (await Database.ScalarAsync<byte[][]>("SELECT secret_hashes FROM gpt_clients WHERE client_id = $1", clientId))!;
}
