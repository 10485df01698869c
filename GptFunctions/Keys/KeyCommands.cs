using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace GptFunctions.Keys;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(KeyRow))]
internal sealed partial class KeyCommandsJson : JsonSerializerContext;

/// <summary><c>GptFunctions keys list|add|retire</c></summary>
internal static class KeyCommands
{
    public static Command Create() => new("keys", "Turn the keys that sign access tokens, without a gap.") { CreateList(), CreateAdd(), CreateRetire() };

    private static Command CreateList()
    {
        var json = new Option<bool>("--json") { Description = "One JSON object a line." };
        var command = new Command(
            "list", "List the signing keys: which one signs, which wait and until when, and how long tokens of the older may live.") { json };
        command.SetAction((parsed, _) => Commands.WithServicesAsync(parsed, async services =>
        {
            foreach (var row in await services.GetRequiredService<KeyService>().ListAsync())
            {
                Console.WriteLine(parsed.GetValue(json) ? JsonSerializer.Serialize(row, KeyCommandsJson.Default.KeyRow) : ToText(row));
            }

            return 0;
        }));
        return command;
    }

    private static Command CreateAdd()
    {
        var file = FileOption();
        var command = new Command(
            "add", "Make a key and put it before the others. Prints what GPT_EC_PRIVATE_KEY shall hold, and nothing else, to be stored where the secret is.")
        {
            file,
        };
        var act = new OperatorOptions(command);
        command.SetAction((parsed, _) => Commands.WithServicesAsync(parsed, services => WithTextsAsync(
            parsed.GetValue(file), services, async (texts, keep) =>
            {
                if (!texts.TryGetValue(TokenKeys.SigningKeysName, out var text))
                {
                    return await Commands.FailAsync("--file: a key that signs belongs into GPT_EC_PRIVATE_KEY (gpt-ec-private-key).");
                }

                var (keyId, changed) = await services.GetRequiredService<KeyService>().AddAsync(text, act.Read(parsed), ThisCommand(services));
                await keep(TokenKeys.SigningKeysName, changed);
                var seconds = services.GetRequiredService<IOptions<TokenSettings>>().Value.KeyPublishSeconds;
                await Console.Error.WriteLineAsync(string.Create(
                    CultureInfo.InvariantCulture,
                    $"added {keyId}: it signs {seconds} s after the first replica has it, whichever that is; 'GptFunctions keys list' says when. "
                        + $"Until then nothing changes."));
                return 0;
            })));
        return command;
    }

    private static Command CreateRetire()
    {
        var keyId = new Argument<string>("kid") { Description = "The key's id, as the list shows it, or how it begins." };
        var file = FileOption();
        var force = new Option<bool>("--force") { Description = "A stolen key: end it at once, and with it the tokens that it signed. Asks for --reason." };
        var command = new Command(
            "retire", "Take back a key that no longer signs: its private half while its tokens live, the rest when none can live any more. Prints what the "
                + "setting shall hold.")
        {
            keyId, file, force,
        };
        var act = new OperatorOptions(command);
        command.SetAction((parsed, _) => Commands.WithServicesAsync(parsed, services => WithTextsAsync(
            parsed.GetValue(file), services, async (texts, keep) =>
            {
                var (setting, done, problem) = await services.GetRequiredService<KeyService>()
                    .RetireAsync(parsed.GetRequiredValue(keyId), texts, parsed.GetValue(force), act.Read(parsed), ThisCommand(services));
                if (done is null)
                {
                    return await Commands.FailAsync(problem!);
                }

                await keep(setting!, done.Text);
                await Console.Error.WriteLineAsync(done.Change == KeyService.PublicHalf
                    ? $"retired {done.KeyId}: its public half stays until its tokens are over; then retire it once more."
                    : $"removed {done.KeyId}: what it signed is refused as soon as a replica has the change.");
                return 0;
            })));
        return command;
    }

    private static Option<string?> FileOption() => new("--file")
    {
        Description = "Change this file instead of printing: the mounted secret, or one with lines of NAME=VALUE such as .local/development.env.",
    };

    private static Occasion ThisCommand(IServiceProvider services) =>
        Occasion.OfCommand(services.GetRequiredService<TimeProvider>().GetUtcNow(), "command");

    /// <summary>Gives <paramref name="run"/> what the settings hold, or the file, and what keeps or prints a changed one.</summary>
    private static async Task<int> WithTextsAsync(
        string? path, IServiceProvider services, Func<IReadOnlyDictionary<string, string>, Func<string, string, Task>, Task<int>> run)
    {
        var configuration = services.GetRequiredService<IConfiguration>();
        var settings = new[] { TokenKeys.SigningKeysName, TokenKeys.PreviousSigningKeysName }
            .ToDictionary(name => name, name => configuration[name] ?? "", StringComparer.Ordinal);
        if (path is null)
        {
            return await run(settings, async (setting, text) =>
            {
                Console.WriteLine(text);
                await Console.Error.WriteLineAsync(WhereTo(setting));
            });
        }

        try
        {
            var file = new KeyFile(path, settings);
            return await run(file.Texts, (setting, text) =>
            {
                file.Write(setting, text);
                return Task.CompletedTask;
            });
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return await Commands.FailAsync($"--file: {error.Message} Without --file the new value is printed.");
        }
    }

    private static string WhereTo(string setting)
    {
        var key = setting.Replace('_', '-').ToLowerInvariant();
        return $"The line on standard output is the new {setting}: pipe it into 'infra/deploy/secrets.sh --environment production --only {key}' "
            + "(without a vault also --github).";
    }

    private static string ToText(KeyRow row)
    {
        var use = row.Use switch
        {
            KeyUse.Signs => $"signs since {Time(row.SignsAt)}",
            KeyUse.Waits => row.SignsAt is null ? "waits, no replica has it yet" : $"waits, signs from {Time(row.SignsAt)}",
            KeyUse.Missing => row.IsServed ? "is not here, and other replicas have it" : "is gone",
            _ => "verifies",
        };
        var tokens = row.TokensLiveUntil is null ? "" : $", its tokens live until {Time(row.TokensLiveUntil)}";
        return $"{row.KeyId}  {row.IsPrivate switch { true => "private", false => "public ", null => "-      " }}  published {Time(row.PublishedAt)}  "
            + use + tokens;
    }

    private static string Time(DateTimeOffset? time) =>
        time is { } known ? known.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture) : "never";
}
