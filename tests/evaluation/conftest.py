"""Tests of evaluation. Every formula has an oracle that nobody here wrote, and agrees with it to 1e-9:

==================================  =====================================================================
formula                             oracle
==================================  =====================================================================
beta, binomial, t, normal           scipy.special.betainc, scipy.stats.beta, binom, t, norm
Wilson, Clopper-Pearson             statsmodels proportion_confint (wilson, beta)
standard error, t interval          scipy.stats.sem, t.interval
clustered standard error            statsmodels OLS on a constant, cov_type="cluster"
Tango's score                       constrained likelihood maximised by scipy.optimize
interval of a quantile              sums of scipy.stats.binom.pmf
BCa, one and two samples            scipy.stats.bootstrap over one and the same resamples
resampled macro-F1                  sklearn.metrics.f1_score on the resampled rows
resampled quantile                  numpy.quantile on the resampled rows
McNemar, mid-p                      statsmodels mcnemar(exact=True), scipy.stats.binom
paired permutation, exact           scipy.stats.permutation_test
Holm, Benjamini-Hochberg            statsmodels multipletests, scipy.stats.false_discovery_control
power of the paired t-test          statsmodels TTestPower
power of McNemar's exact test       sum over the trinomial, with scipy.stats.binomtest
accuracy, precision, recall, F1     sklearn.metrics.precision_recall_fscore_support, accuracy_score
confusion matrix, log loss          sklearn.metrics.confusion_matrix, log_loss
BLEU, chrF, TER                     sacrebleu's corpus_score and sentence_score
ROUGE                               rouge-score
METEOR                              NLTK's own stages put together; NLTK itself where there are synonyms
token similarity                    bert-score's formula in NumPy (1e-6)
cross-entropy, perplexity           NumPy over all tokens, sklearn.metrics.log_loss
Matthews' correlation, Brier        sklearn.metrics.matthews_corrcoef, brier_score_loss
SSIM, PSNR; hashes of images        scikit-image; ImageHash (their figures are kept in a file)
WAV samples                         scipy.io.wavfile
word and character error rate       jiwer
precision@k ... nDCG, MAP, MRR      trec_eval (pytrec-eval)
kappa                               sklearn.metrics.cohen_kappa_score
Krippendorff's alpha                the figures published with his example
==================================  =====================================================================

What has no closed oracle is simulated: `simulations.py`.
"""
