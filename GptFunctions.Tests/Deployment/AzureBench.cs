using System.Diagnostics;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Deployment;

/// <summary>
/// infra/deploy/azure-up.sh in a directory of its own, for a company that has filled in everything, with every program that it calls replaced by
/// azure-stand-in.sh: what was made is there. State stays from run to run.
/// </summary>
internal sealed class AzureBench : IDisposable
{
    public static readonly string[] Asked = ["CLERK_WEBHOOK_SECRET", "CLERK_OAUTH_CLIENT_SECRET", "STRIPE_WEBHOOK_SECRET"];

    private static readonly string[] Programs = ["az", "kubectl", "helm", "gh", "docker", "kubelogin", "curl", "git"];
    private readonly DirectoryInfo directory = Directory.CreateTempSubdirectory("azure-");

    public AzureBench(string environment = "production")
    {
        Environment = environment;
        foreach (var folder in (string[])["infra/deploy", "infra/k8s/cluster", "infra/k8s/overlays/" + environment, "infra/postgres"])
        {
            foreach (var file in Directory.EnumerateFiles(Path.Combine(TestServices.RepositoryRoot, folder)))
            {
                Copy(file, Path.Combine(folder, Path.GetFileName(file)));
            }
        }

        Copy(Path.Combine(TestServices.RepositoryRoot, "infra", "dev", "lib.sh"), "infra/dev/lib.sh");
        var standIn = Path.Combine(TestServices.RepositoryRoot, "GptFunctions.Tests", "Deployment", "azure-stand-in.sh");
        foreach (var program in (string[])[.. Programs.Select(name => "bin/" + name), "infra/deploy/deploy.sh"])
        {
            Copy(standIn, program);
            if (!OperatingSystem.IsWindows()) // as the compiler wants to hear; the scripts need bash anyway
            {
                File.SetUnixFileMode(FileOf(program), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }
        }

        Settings["FAKE"] = directory.FullName;
        Settings["PATH"] = FileOf("bin") + ":" + System.Environment.GetEnvironmentVariable("PATH");
        Settings["AZURE_UP_WAIT"] = "0";
        Settings["AZURE_UP_POLL"] = "0";
        Settings["CONFIRM_FROM_STDIN"] = "1";
        foreach (var name in Asked)
        {
            Settings[name] = $"{name.ToLowerInvariant()} $'\"\\`x`";
        }

        FillIn();
    }

    public string Environment { get; }

    public Dictionary<string, string?> Settings { get; } = new(StringComparer.Ordinal);

    /// <summary>How the programs were called, by all runs, in order.</summary>
    public string[] Calls => Lines("calls");

    /// <summary>The calls that changed something.</summary>
    public string[] Changes => Lines("done");

    /// <summary>The secrets, by name.</summary>
    public Dictionary<string, string> Vault =>
        Directory.Exists(FileOf("vault"))
            ? Directory.EnumerateFiles(FileOf("vault")).ToDictionary(file => Path.GetFileName(file), File.ReadAllText, StringComparer.Ordinal)
            : [];

    /// <summary>As after a run that ended before its first change with these words.</summary>
    public void StartBefore(AzureBench whole, string words)
    {
        var changes = whole.Changes;
        Write("done", string.Join('\n', changes[..Array.FindIndex(changes, call => call.Contains(words, StringComparison.Ordinal))]) + "\n");
        foreach (var (name, value) in whole.Vault)
        {
            Directory.CreateDirectory(FileOf("vault"));
            Write("vault/" + name, value);
        }
    }

    public string Read(string name) => File.ReadAllText(FileOf(name));

    public void Write(string name, string text) => File.WriteAllText(FileOf(name), text);

    public void Replace(string name, string before, string after)
    {
        Assert.Contains(before, Read(name), StringComparison.Ordinal);
        Write(name, Read(name).Replace(before, after, StringComparison.Ordinal));
    }

    public Task<(int ExitCode, string Said)> RunAsync(params string[] arguments) => RunWithInputAsync("", ["--environment", Environment, .. arguments]);

    public async Task<(int ExitCode, string Said)> RunWithInputAsync(string input, params string[] arguments)
    {
        File.Delete(FileOf("changes"));
        var start = new ProcessStartInfo("bash", ["infra/deploy/azure-up.sh", .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            WorkingDirectory = directory.FullName,
        };
        foreach (var (name, value) in Settings)
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        return (process.ExitCode, await output + await error);
    }

    public string FileOf(string name) => Path.Combine(directory.FullName, name);

    public void Dispose() => directory.Delete(recursive: true);

    private string[] Lines(string name) => File.Exists(FileOf(name)) ? File.ReadAllLines(FileOf(name)) : [];

    private void Copy(string file, string name)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(FileOf(name))!);
        File.Copy(file, FileOf(name), overwrite: true);
    }

    private void FillIn()
    {
        var configuration = Read("infra/deploy/azure.conf").Replace("ACR=REPLACE-ME", "ACR=contoso", StringComparison.Ordinal)
            .Replace("REPO=REPLACE-ME", "REPO=contoso/gpt", StringComparison.Ordinal).Replace("REVIEWERS=", "REVIEWERS='anna bob'", StringComparison.Ordinal)
            .Replace("DNS_ZONE=", "DNS_ZONE=contoso.test", StringComparison.Ordinal)
            .Replace("_production=REPLACE-ME", "_production=contoso-gpt", StringComparison.Ordinal)
            .Replace("_staging=REPLACE-ME", "_staging=contoso-gpt-staging", StringComparison.Ordinal);
        Write("infra/deploy/azure.conf", configuration);
        foreach (var file in (string[])["settings.env", "gateway.json", "openapi.json"])
        {
            var name = $"infra/k8s/overlays/{Environment}/{file}";
            Write(name, Read(name)
                .Replace("example.com", "contoso.test", StringComparison.Ordinal).Replace("REPLACE-ME", "contoso", StringComparison.Ordinal));
        }

        File.AppendAllText(FileOf($"infra/k8s/overlays/{Environment}/settings.env"), "AUDIT_QUEUE_TYPE=quorum\n");
    }
}
