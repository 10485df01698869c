using System.Security.Cryptography;
using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Deployment;

/// <summary>The settings of one rendered container: its environment, and its secrets as files with values made for the test.</summary>
internal sealed class RenderedSettings : IDisposable
{
    private readonly DirectoryInfo directory = Directory.CreateTempSubdirectory("gpt-rendered-");

    private RenderedSettings()
    {
    }

    /// <summary>Every environment variable, paths of mounted files replaced by ours.</summary>
    public Dictionary<string, string?> Environment { get; } = new(StringComparer.Ordinal);

    public string SecretsPath => Path.Combine(directory.FullName, "secrets");

    /// <param name="values">Of secrets, by file name; the others are made up.</param>
    public static RenderedSettings Of(Manifests manifests, JsonNode container, Dictionary<string, string> values)
    {
        var settings = new RenderedSettings();
        Directory.CreateDirectory(settings.SecretsPath);
        foreach (var name in SecretsTests.Names)
        {
            File.WriteAllText(Path.Combine(settings.SecretsPath, name), values.GetValueOrDefault(name) ?? MadeUp(name));
        }

        foreach (var (file, text) in manifests.FindConfig("gpt-gateway").Map("data"))
        {
            File.WriteAllText(Path.Combine(settings.directory.FullName, file), text);
        }

        foreach (var config in container.List("envFrom").Select(source => source.Text("configMapRef/name")!))
        {
            settings.Add(manifests.Find("ConfigMap", config).Map("data"));
        }

        settings.Add(
            container.List("env").ToDictionary(
                variable => variable.Text("name")!, variable => variable.Text("value") ?? values[variable.Text("valueFrom/secretKeyRef/key")!],
                StringComparer.Ordinal));
        return settings;
    }

    public void Dispose() => directory.Delete(recursive: true);

    private void Add(IEnumerable<KeyValuePair<string, string>> variables)
    {
        foreach (var (name, value) in variables)
        {
            Environment[name] = value.Replace("/mnt/secrets", SecretsPath, StringComparison.Ordinal)
                .Replace("/etc/gpt", directory.FullName, StringComparison.Ordinal);
        }
    }

    private static string MadeUp(string name) => name switch
    {
        "gpt-client-id" => "company-gpt",
        "gpt-ec-private-key" => SigningKey.Generate(),
        "gpt-refresh-key" => Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)),
        "clerk-webhook-secret" => "whsec_" + Convert.ToBase64String(RandomNumberGenerator.GetBytes(24)),
        "database-url" => "postgresql://app:password@127.0.0.1:1/none",
        "rabbitmq-url" => "amqp://guest:guest@127.0.0.1:1",
        _ => Secret.New(),
    };
}
