using System.Runtime.Versioning;
using System.Text.Json;
using GptFunctions.Keys;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Keys;

/// <summary>keys.md 6: <c>GptFunctions keys</c>, run as an operator runs it.</summary>
public sealed class KeyCommandsTests : IAsyncLifetime
{
    private readonly string directory = Directory.CreateTempSubdirectory("keys-").FullName;
    private readonly string old = SigningKey.Generate();
    private readonly string next = SigningKey.Generate();
    private TestDatabase database = null!;
    private Dictionary<string, string?> settings = null!;

    private string KeyFilePath => Path.Combine(directory, "gpt-ec-private-key");

    public async Task InitializeAsync()
    {
        database = await TestDatabase.CreateAsync(nameof(KeyCommandsTests));
        await File.WriteAllTextAsync(KeyFilePath, old);
        settings = TestApp.DefaultSettings(database.Url, 7071).With([new("SECRETS_PATH", directory), new("GPT_EC_PRIVATE_KEY", null)]);
    }

    public async Task DisposeAsync()
    {
        await database.DisposeAsync();
        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public async Task Add_prints_the_new_value_alone_and_tells_of_the_key_without_it()
    {
        var (exitCode, output, error) = await RunAsync("add", "--by", "ada", "--reason", "yearly");
        Assert.Equal(0, exitCode);
        var texts = output.TrimEnd('\n').Split(' ');
        Assert.Equal(old, texts[1]);
        Assert.Contains($"added {IdOf(texts[0])}: it signs 600 s after", error, StringComparison.Ordinal);
        Assert.Contains("infra/deploy/secrets.sh --environment production --only gpt-ec-private-key", error, StringComparison.Ordinal);
        Assert.Equal(old, await File.ReadAllTextAsync(KeyFilePath)); // nothing is changed but by --file
        Assert.Equal(
            $"{IdOf(texts[0])} command:ada yearly", await database.ScalarAsync<string>($"""
                SELECT concat_ws(' ', envelope #>> '{"{payload,kid}"}', envelope #>> '{"{payload,operator}"}', envelope #>> '{"{payload,reason}"}')
                FROM outbox_messages WHERE routing_key = '{KeyStore.Added}'
                """));
        Assert.Equal(0, await database.CountAsync("outbox_messages", $"envelope::text LIKE '%{texts[0]}%'"));
    }

    [Fact]
    [UnsupportedOSPlatform("windows")]
    public async Task Add_writes_a_file_in_one_piece_with_its_rights_and_for_its_link()
    {
        var link = Path.Combine(directory, ".link");
        File.CreateSymbolicLink(link, KeyFilePath);
        File.SetUnixFileMode(KeyFilePath, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);
        Assert.Equal((0, ""), await ShortAsync("add", "--file", link));
        Assert.NotNull(new FileInfo(link).LinkTarget);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead, File.GetUnixFileMode(KeyFilePath));
        Assert.Equal(2, (await File.ReadAllTextAsync(KeyFilePath)).Split(' ').Length);

        var development = Path.Combine(directory, ".development.env");
        await File.WriteAllTextAsync(development, $"GPT_CLIENT_SECRET=kept\nGPT_EC_PRIVATE_KEY={old}\n");
        Assert.Equal((0, ""), await ShortAsync("add", "--file", development));
        var lines = await File.ReadAllLinesAsync(development);
        Assert.Equal("GPT_CLIENT_SECRET=kept", lines[0]);
        Assert.Matches($"^GPT_EC_PRIVATE_KEY=[^ ]+ {System.Text.RegularExpressions.Regex.Escape(old)}$", lines[1]);

        var refused = await RunAsync("add", "--file", "/proc/gpt-ec-private-key");
        Assert.Equal(1, refused.ExitCode);
        Assert.StartsWith("--file: ", refused.Error, StringComparison.Ordinal);
        Assert.Equal(2, await database.CountAsync("outbox_messages", $"routing_key = '{KeyStore.Added}'")); // of what failed nobody is told
    }

    [Fact]
    public async Task List_says_who_signs_who_waits_and_how_long_tokens_of_the_others_live()
    {
        Assert.Equal($"{IdOf(old)}  private  published never  signs since never\n", (await RunAsync("list")).Output);
        await ServeAsync(old);
        await File.WriteAllTextAsync(KeyFilePath, $"{next} {old}");
        await ServeAsync($"{next} {old}");
        var lines = (await RunAsync("list")).Output.Split('\n');
        Assert.Matches($"^{IdOf(next)}  private  published .*Z  waits, signs from 20..-..-.. ..:..:..Z$", lines[0]);
        Assert.Matches($"^{IdOf(old)}  private  published .*Z  signs since 20..-..-.. ..:..:..Z$", lines[1]);

        await database.ExecuteAsync("UPDATE gpt_signing_keys SET published_at = now() - interval '700 s'");
        await ServeAsync($"{next} {old}");
        lines = (await RunAsync("list")).Output.Split('\n');
        Assert.Matches($"^{IdOf(next)}  private  .*  signs since 20.*Z$", lines[0]);
        Assert.Matches($"^{IdOf(old)}  private  .*  verifies, its tokens live until 20.*Z$", lines[1]);

        await File.WriteAllTextAsync(KeyFilePath, next);
        var json = JsonElement.Parse((await RunAsync("list", "--json")).Output.Split('\n')[1]);
        Assert.Equal(
            ("missing", JsonValueKind.Null, true),
            (json.GetProperty("use").GetString(), json.GetProperty("is_private").ValueKind, json.GetProperty("is_served").GetBoolean()));
    }

    [Fact]
    public async Task Retire_takes_the_private_half_while_tokens_live_and_the_rest_when_none_does()
    {
        await RefusedAsync("is the only key that can sign", "retire", IdOf(old));
        await ServeAsync(old);
        await File.WriteAllTextAsync(KeyFilePath, $"{next} {old}");
        await RefusedAsync("signs: wait until 'GptFunctions keys list' says", "retire", IdOf(old), "--file", KeyFilePath);
        await RefusedAsync("There is no key nobody", "retire", "nobody");
        await RefusedAsync("--force ends tokens that people use: say why", "retire", IdOf(old), "--force", "--file", KeyFilePath);

        await ServeAsync($"{next} {old}");
        await database.ExecuteAsync("UPDATE gpt_signing_keys SET published_at = now() - interval '700 s'");
        await ServeAsync($"{next} {old}");
        Assert.Equal((0, ""), await ShortAsync("retire", IdOf(old)[..10], "--file", KeyFilePath));
        var halves = (await File.ReadAllTextAsync(KeyFilePath)).Split(' ');
        Assert.Equal((next, false, IdOf(old)), (halves[0], SigningKey.TryParse(halves[1], out _), IdOf(halves[1])));
        await RefusedAsync($"Tokens that {IdOf(old)} signed live until 20", "retire", IdOf(old), "--file", KeyFilePath);

        await database.ExecuteAsync("UPDATE gpt_signing_keys SET signed_at = now() - interval '961 s' WHERE signing_since IS NULL");
        Assert.Equal((0, ""), await ShortAsync("retire", IdOf(old), "--file", KeyFilePath));
        Assert.Equal(next, await File.ReadAllTextAsync(KeyFilePath));
        Assert.Equal("public_half removed", await database.ScalarAsync<string>(
            $"SELECT string_agg(envelope #>> '{"{payload,change}"}', ' ' ORDER BY position) FROM outbox_messages WHERE routing_key = '{KeyStore.Retired}'"));
    }

    [Fact]
    public async Task Retire_by_force_ends_a_stolen_key_at_once_and_a_key_that_never_signed_needs_none()
    {
        await ServeAsync(old);
        await File.WriteAllTextAsync(KeyFilePath, $"{next} {old}");
        Assert.Equal((0, ""), await ShortAsync("retire", IdOf(next), "--file", KeyFilePath));
        Assert.Equal(old, await File.ReadAllTextAsync(KeyFilePath));

        await File.WriteAllTextAsync(KeyFilePath, $"{next} {old}");
        Assert.Equal((0, ""), await ShortAsync("retire", IdOf(old), "--force", "--reason", "stolen", "--file", KeyFilePath));
        Assert.Equal(next, await File.ReadAllTextAsync(KeyFilePath));

        var previous = settings.With([new("GPT_EC_PREVIOUS_KEYS", old)]);
        var (exitCode, output, error) = await AppProcess.RunAsync(previous, "keys", "retire", IdOf(old), "--force", "--reason", "stolen");
        Assert.Equal((0, "\n"), (exitCode, output));
        Assert.Contains("--only gpt-ec-previous-keys", error, StringComparison.Ordinal);
    }

    /// <summary>What a replica does that has these keys.</summary>
    private async Task ServeAsync(string keys)
    {
        await using var app = await TestApp.StartAsync(database, new() { ["GPT_EC_PRIVATE_KEY"] = keys });
        await Wait.UntilAsync(() => database.ScalarAsync<bool>(
            $"SELECT signed_at IS NOT NULL FROM gpt_signing_keys WHERE kid = '{app.Get<SigningKeys>().Current.KeyId}'"));
    }

    private Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] arguments) => AppProcess.RunAsync(settings, ["keys", .. arguments]);

    private async Task<(int ExitCode, string Output)> ShortAsync(params string[] arguments)
    {
        var (exitCode, output, error) = await RunAsync(arguments);
        Assert.True(exitCode == 0, error);
        return (exitCode, output);
    }

    private async Task RefusedAsync(string expected, params string[] arguments)
    {
        var (exitCode, output, error) = await RunAsync(arguments);
        Assert.Equal((1, ""), (exitCode, output));
        Assert.Contains(expected, error, StringComparison.Ordinal);
    }

    private static string IdOf(string key) => KeyPublicationTests.IdOf(key);
}
