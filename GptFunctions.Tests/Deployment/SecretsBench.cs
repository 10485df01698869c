using System.Text;
using System.Text.RegularExpressions;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Deployment;

/// <summary>infra/deploy/secrets.sh with good values in every variable, but for those that a test changes.</summary>
internal static partial class SecretsBench
{
    public const string Id = "an-id";
    public static readonly string Key = SigningKey.Generate();
    public static readonly string OtherKey = SigningKey.Generate();
    public static readonly string Third = SigningKey.Generate();
    public static readonly string Public = SigningKey.TryParse(Key, out var key) ? key!.ToPublicText() : "";

    /// <summary>Good ones, with what shells and YAML trip over where a value may be anything.</summary>
    public static Dictionary<string, string> Good => new(StringComparer.Ordinal)
    {
        ["GPT_CLIENT_ID"] = Id,
        ["GPT_CLIENT_SECRET"] = """client '"$(x)`\ %s #: secret of 32 or more""",
        ["GPT_EC_PRIVATE_KEY"] = Key,
        ["GPT_REFRESH_KEY"] = Base64('r'),
        ["CLERK_WEBHOOK_SECRET"] = "whsec_" + Base64('c'),
        ["CLERK_OAUTH_CLIENT_SECRET"] = """clerk '"$(y)`\ #: secret""",
        ["STRIPE_WEBHOOK_SECRET"] = "whsec_stripe",
        ["DATABASE_URL"] = "postgresql://gpt_app:a%40$(z)@db.contoso.test:5432/gptfunctions?sslmode=verify-full",
        ["RABBITMQ_URL"] = "amqp://gpt:'secret'@gpt.rabbitmq.svc:5672",
        ["DATABASE_OWNER_URL"] = "postgresql://gpt_owner:b@db.contoso.test:5432/gptfunctions?sslmode=verify-full",
    };

    public static DeployBench Bench(params (string Name, string? Value)[] changed)
    {
        var bench = new DeployBench();
        foreach (var (name, value) in Good.Select(secret => (secret.Key, (string?)secret.Value)).Concat(changed))
        {
            bench.Settings[name] = value;
        }

        return bench;
    }

    public static async Task<string> AssertRefusedAsync(DeployBench bench, string? expected, params string[] more)
    {
        var changes = bench.Changes.Count();
        var (code, said) = await bench.RunAsync("secrets.sh", ["--environment", "production", .. more]);
        Assert.True(code == 1, said);
        Assert.EndsWith("Nothing was changed.\n", said, StringComparison.Ordinal);
        Assert.Equal(changes, bench.Changes.Count());
        if (expected is not null)
        {
            Assert.Equal(expected + "Nothing was changed.\n", said);
        }

        return said;
    }

    public static void AssertHidden(DeployBench bench, string said, IEnumerable<string> values)
    {
        foreach (var value in values)
        {
            foreach (var text in (string[])[said, .. bench.Calls])
            {
                Assert.DoesNotContain(value, text, StringComparison.Ordinal);
                Assert.DoesNotContain(Base64Of(value), text, StringComparison.Ordinal);
            }
        }
    }

    /// <summary>What the cluster was given, by variable.</summary>
    public static Dictionary<string, string> Written(DeployBench bench) => Entry().Matches(bench.Input)
        .ToDictionary(
            match => match.Groups["key"].Value.ToUpperInvariant().Replace('-', '_'),
            match => Encoding.UTF8.GetString(Convert.FromBase64String(match.Groups["value"].Value)), StringComparer.Ordinal);

    public static string KeysOf(string names) => names.Replace("KEY", Key, StringComparison.Ordinal).Replace("OTHER", OtherKey, StringComparison.Ordinal)
        .Replace("PUBLIC", Public, StringComparison.Ordinal).Replace("THIRD", Third, StringComparison.Ordinal);

    public static string RefreshKeys(string letters) => string.Join(' ', letters.Split(' ').Select(letter => Base64(letter[0])));

    public static string Base64(char letter) => Base64Of(new string(letter, 32));

    public static string Base64Of(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    public static string NewP384()
    {
        using var key = System.Security.Cryptography.ECDsa.Create(System.Security.Cryptography.ECCurve.NamedCurves.nistP384);
        return Base64Of(key.ExportPkcs8PrivateKeyPem());
    }

    [GeneratedRegex("^  (?<key>[a-z-]+-[a-z-]+): (?<value>[A-Za-z0-9+/=]+)$", RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Entry();
}
